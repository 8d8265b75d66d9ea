//! CV-Bench (Cambrian-1, arXiv 2406.16860, section 3.2): accuracies by source, averaged as the paper does.
//!
//! The two-dimensional score is the mean of the accuracies on COCO and on ADE20K, whatever their item counts; the
//! three-dimensional one is the accuracy on Omni3D; the whole is the mean of the two. That is not the share of all
//! items that are right, which is reported beside it because other harnesses print it under the same name.

/// Where an item's image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dataset {
    /// COCO: two-dimensional tasks.
    Coco,
    /// ADE20K: two-dimensional tasks.
    Ade20k,
    /// Omni3D: three-dimensional tasks.
    Omni3d,
}

/// What an item asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// How many there are.
    Count,
    /// Where one is relative to another.
    Relation,
    /// Which of two is closer to the camera.
    Depth,
    /// Which of two is closer to a third.
    Distance,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Count, Self::Relation, Self::Depth, Self::Distance];
}

/// A judged item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its image's source.
    pub source: Dataset,
    /// Its task.
    pub task: Task,
    /// Whether the answer was right.
    pub correct: bool,
}

/// Scores in percent; `None` where there is no item to score.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Accuracy on COCO, tasks pooled.
    pub coco: Option<f64>,
    /// Accuracy on ADE20K, tasks pooled.
    pub ade20k: Option<f64>,
    /// Mean of the two.
    pub two_d: Option<f64>,
    /// Accuracy on Omni3D.
    pub three_d: Option<f64>,
    /// Mean of two- and three-dimensional: the paper's CV-Bench score.
    pub overall: Option<f64>,
    /// Share of all items that are right, as other harnesses report it.
    pub plain: Option<f64>,
    /// Accuracy by task, in the order of [`Task::ALL`].
    pub tasks: [Option<f64>; 4],
}

impl Scores {
    /// Scores judged items, in any order.
    pub fn of(items: impl IntoIterator<Item = Item>) -> Self {
        let items: Vec<Item> = items.into_iter().collect();
        let from = |source| accuracy(items.iter().filter(|i| i.source == source));
        let (coco, ade20k, three_d) = (from(Dataset::Coco), from(Dataset::Ade20k), from(Dataset::Omni3d));
        let two_d = mean(coco, ade20k);
        Self {
            coco,
            ade20k,
            two_d,
            three_d,
            overall: mean(two_d, three_d),
            plain: accuracy(items.iter()),
            tasks: Task::ALL.map(|task| accuracy(items.iter().filter(|i| i.task == task))),
        }
    }
}

fn accuracy<'a>(items: impl Iterator<Item = &'a Item>) -> Option<f64> {
    let (right, all) = items.fold((0u32, 0u32), |(right, all), i| (right + u32::from(i.correct), all + 1));
    (all > 0).then(|| 100.0 * f64::from(right) / f64::from(all))
}

/// Of both, or none: a mean that silently leaves a half out would not be comparable.
fn mean(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(f64::midpoint(a?, b?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(source: Dataset, task: Task, right: usize, wrong: usize) -> Vec<Item> {
        let item = |correct| Item { source, task, correct };
        [vec![item(true); right], vec![item(false); wrong]].concat()
    }

    #[test]
    fn sources_weigh_the_same_whatever_their_counts() {
        // The published counts: 805 items of COCO, all right; 633 of ADE20K, all wrong.
        let two_d = [
            items(Dataset::Coco, Task::Count, 500, 0),
            items(Dataset::Coco, Task::Relation, 305, 0),
            items(Dataset::Ade20k, Task::Count, 0, 288),
            items(Dataset::Ade20k, Task::Relation, 0, 345),
        ]
        .concat();
        let scores = Scores::of(two_d.clone());
        assert_eq!((scores.coco, scores.ade20k, scores.two_d), (Some(100.0), Some(0.0), Some(50.0)));
        assert_eq!(scores.overall, None, "without the other half there is no whole");
        assert!(scores.plain.unwrap() > 55.0, "the plain share is another number");

        let three_d = items(Dataset::Omni3d, Task::Depth, 600, 600);
        let scores = Scores::of([two_d, three_d].concat());
        assert_eq!((scores.three_d, scores.overall), (Some(50.0), Some(50.0)));
        let [count, relation, depth, distance] = scores.tasks;
        assert_eq!((depth, distance), (Some(50.0), None));
        assert!((count.unwrap() - 100.0 * 500.0 / 788.0).abs() < 1e-12);
        assert!((relation.unwrap() - 100.0 * 305.0 / 650.0).abs() < 1e-12);
    }

    #[test]
    fn order_does_not_matter() {
        let mut all = [
            items(Dataset::Coco, Task::Count, 3, 1),
            items(Dataset::Ade20k, Task::Relation, 1, 3),
            items(Dataset::Omni3d, Task::Distance, 2, 2),
        ]
        .concat();
        let scores = Scores::of(all.clone());
        all.reverse();
        assert_eq!(Scores::of(all), scores);
        assert_eq!(scores.overall, Some(50.0));
    }
}
