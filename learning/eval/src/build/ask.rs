//! From scenes to questions.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::{Object, Question, Rejected, Rules, Scene};

/// Questions about all scenes, in their order, and why candidates are none.
pub(super) fn questions(scenes: &[Scene], rules: &Rules) -> (Vec<Question>, Vec<Rejected>) {
    let mut asked = Vec::new();
    let mut rejected = Vec::new();
    let mut counted = 0;
    for (number, scene) in scenes.iter().enumerate() {
        // Of each picture by itself, so that another picture before it changes nothing.
        let mut rng =
            Dice(ChaCha8Rng::seed_from_u64(rules.seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let mut asking = Asking { scene, number, rules, rng: &mut rng, rejected: &mut rejected };
        if scene.objects.iter().any(|object| object.corners.is_some()) {
            asked.extend(asking.depths());
            asked.extend(asking.distances());
        } else {
            asked.extend(asking.counts(&mut counted));
            asked.extend(asking.relations());
        }
    }
    (asked, rejected)
}

/// Random numbers.
pub(super) struct Dice(pub ChaCha8Rng);

impl Dice {
    /// One of `0..n`; the bias of the rest is far below one in a billion.
    pub fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n.max(1) as u64) as usize
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}

struct Asking<'a> {
    scene: &'a Scene,
    number: usize,
    rules: &'a Rules,
    rng: &'a mut Dice,
    rejected: &'a mut Vec<Rejected>,
}

impl Asking<'_> {
    fn reject(&mut self, task: &'static str, about: impl Into<String>, reason: impl Into<String>) {
        let file = self.scene.file.clone();
        self.rejected.push(Rejected { file, task, about: about.into(), reason: reason.into() });
    }

    /// The classes of the scene with their objects, in the order of names.
    fn classes(&self) -> Vec<(String, Vec<Object>)> {
        let mut classes: Vec<(String, Vec<Object>)> = Vec::new();
        for object in &self.scene.objects {
            match classes.iter_mut().find(|(class, _)| *class == object.class) {
                Some((_, objects)) => objects.push(object.clone()),
                None => classes.push((object.class.clone(), vec![object.clone()])),
            }
        }
        classes.sort_by(|a, b| a.0.cmp(&b.0));
        classes
    }

    fn small(&self, object: &Object) -> bool {
        object.area() < self.rules.smallest * self.scene.size.0 * self.scene.size.1
    }

    fn counts(&mut self, counted: &mut usize) -> Vec<Question> {
        const TASK: &str = "Count";
        let mut fit = Vec::new();
        for (class, objects) in self.classes() {
            if let Some(why) = objects.iter().find_map(|object| object.unclear) {
                self.reject(TASK, class, why);
            } else if objects.len() > self.rules.most {
                self.reject(TASK, class, format!("{} of them, more than {}", objects.len(), self.rules.most));
            } else if objects.iter().any(|object| self.small(object)) {
                self.reject(
                    TASK,
                    class,
                    format!("one is smaller than {} of the picture", self.rules.smallest),
                );
            } else {
                let area = objects.iter().map(Object::area).sum::<f64>() / objects.len() as f64;
                fit.push((class, objects.len(), Some(area)));
            }
        }
        self.rng.shuffle(&mut fit);
        fit.truncate(self.rules.per_picture);
        let mut asked = Vec::new();
        for (class, count, area) in fit {
            *counted += 1;
            let about_absent = self.rules.absent_every > 0 && counted.is_multiple_of(self.rules.absent_every);
            let (class, count, area) = match self.absent().filter(|_| about_absent) {
                Some(class) => (class, 0, None),
                None => (class, count, area),
            };
            let because = format!("{count} annotated");
            let question = format!("How many {class}s are in the image?");
            let options = self.near(count);
            asked.push(Question {
                task: TASK,
                scene: self.number,
                question,
                options,
                lead: " Select from the following choices.",
                boxes: Vec::new(),
                class: Some(class),
                area,
                because,
            });
        }
        asked
    }

    fn absent(&mut self) -> Option<String> {
        let there: Vec<&str> = self.scene.objects.iter().map(|object| object.class.as_str()).collect();
        let absent: Vec<&String> =
            self.scene.absent.iter().filter(|class| !there.contains(&class.as_str())).collect();
        let at = self.rng.below(absent.len());
        absent.get(at).map(|class| (*class).clone())
    }

    /// The truth and three to five numbers near it.
    fn near(&mut self, truth: usize) -> Vec<String> {
        let wrong = 3 + self.rng.below(3);
        let below = self.rng.below(wrong.min(truth) + 1);
        let low = truth - below;
        let others = (low..).filter(|n| *n != truth).take(wrong);
        std::iter::once(truth).chain(others).map(|n| n.to_string()).collect()
    }

    fn relations(&mut self) -> Vec<Question> {
        const TASK: &str = "Relation";
        let mut classes = Vec::new();
        for (class, objects) in self.classes() {
            let clear = objects.iter().filter(|object| object.unclear.is_none() && !self.small(object));
            let largest = clear.max_by(|a, b| a.area().total_cmp(&b.area())).cloned();
            match largest {
                Some(object) => classes.push((class, object, objects.len() > 1)),
                None => self.reject(TASK, class, "none of it is clear and large enough"),
            }
        }
        let mut fit = Vec::new();
        for a in 0..classes.len() {
            for b in 0..classes.len() {
                if a != b {
                    fit.extend(self.relation(TASK, &classes[a], &classes[b]));
                }
            }
        }
        self.rng.shuffle(&mut fit);
        fit.truncate(self.rules.per_picture);
        fit
    }

    fn relation(
        &mut self,
        task: &'static str,
        (a, of_a, several_a): &(String, Object, bool),
        (b, of_b, several_b): &(String, Object, bool),
    ) -> Option<Question> {
        let (width, height) = self.scene.size;
        let gap = |low: usize, high: usize| of_b.bbox[low] - of_a.bbox[high];
        // Before: how far the right or lower edge of one is from the left or upper edge of the other.
        let (left, right) = (gap(0, 2), of_a.bbox[0] - of_b.bbox[2]);
        let (above, below) = (gap(1, 3), of_a.bbox[1] - of_b.bbox[3]);
        let clear = [
            ("left", "right", left, width),
            ("right", "left", right, width),
            ("above", "below", above, height),
            ("below", "above", below, height),
        ];
        let clear: Vec<_> =
            clear.into_iter().filter(|(_, _, gap, whole)| *gap >= self.rules.apart * whole).collect();
        if clear.is_empty() {
            let reason =
                format!("the boxes are less than {} of the picture apart on both axes", self.rules.apart);
            self.reject(task, format!("{a} and {b}"), reason);
            return None;
        }
        let (truth, other, gap, _) = clear[self.rng.below(clear.len())];
        // A class of which there are several needs a box; of two boxes the anchor's is the second.
        let mut boxes = Vec::new();
        let mut noted = |class: &str, object: &Object, several: bool| {
            if !several {
                return class.to_owned();
            }
            let colour = ["red", "blue"][boxes.len().min(1)];
            boxes.push(object.bbox);
            format!("{class} (annotated by the {colour} box)")
        };
        let (first, second) = (noted(a, of_a, *several_a), noted(b, of_b, *several_b));
        let question = format!(
            "Considering the relative positions of the {first} and the {second} in the image provided, where is the {a} \
             located with respect to the {b}?"
        );
        Some(Question {
            task,
            scene: self.number,
            question,
            options: vec![truth.into(), other.into()],
            lead: " Select from the following choices.",
            boxes,
            class: Some(a.clone()),
            area: Some(of_a.area()),
            because: format!("the boxes are {gap:.0} pixels apart"),
        })
    }

    /// Objects in space whose class is there once.
    fn solids(&mut self, task: &'static str) -> Vec<(String, Object, [[f64; 3]; 8])> {
        let mut fit = Vec::new();
        for (class, mut objects) in self.classes() {
            let object = objects.swap_remove(0);
            if !objects.is_empty() {
                self.reject(task, class, format!("there are {}", objects.len() + 1));
            } else if let Some(why) = object.unclear {
                self.reject(task, class, why);
            } else if self.small(&object) {
                self.reject(task, class, format!("smaller than {} of the picture", self.rules.smallest));
            } else if let Some(corners) = object.corners {
                fit.push((class, object, corners));
            }
        }
        fit
    }

    fn depths(&mut self) -> Vec<Question> {
        const TASK: &str = "Depth";
        let solids = self.solids(TASK);
        let mut fit = Vec::new();
        for (i, (a, of_a, corners_a)) in solids.iter().enumerate() {
            for (b, of_b, corners_b) in &solids[i + 1..] {
                let camera = [0.0; 3];
                match closer(corners_a, corners_b, camera, self.rules.depth_margin) {
                    Err(reason) => self.reject(TASK, format!("{a} and {b}"), reason),
                    Ok((first, because)) => {
                        // Which of the two is named first says nothing.
                        let ((x, of_x), (y, of_y)) = if self.rng.below(2) == 0 {
                            ((a, of_a), (b, of_b))
                        } else {
                            ((b, of_b), (a, of_a))
                        };
                        let (near, far) = if first { (a, b) } else { (b, a) };
                        fit.push(Question {
                            task: TASK,
                            scene: self.number,
                            question: format!(
                                "Which object is closer to the camera taking this photo, the {x} (highlighted by a red box) \
                                 or the {y} (highlighted by a blue box)?"
                            ),
                            options: vec![near.clone(), far.clone()],
                            lead: "",
                            boxes: vec![of_x.bbox, of_y.bbox],
                            class: None,
                            area: None,
                            because,
                        });
                    }
                }
            }
        }
        self.rng.shuffle(&mut fit);
        fit.truncate(self.rules.per_picture);
        fit
    }

    fn distances(&mut self) -> Vec<Question> {
        const TASK: &str = "Distance";
        let solids = self.solids(TASK);
        let mut fit = Vec::new();
        for (k, (anchor, of_anchor, corners)) in solids.iter().enumerate() {
            let centre = centre(corners);
            let others: Vec<_> =
                solids.iter().enumerate().filter(|(i, _)| *i != k).map(|(_, solid)| solid).collect();
            for (i, (a, of_a, corners_a)) in others.iter().enumerate() {
                for (b, of_b, corners_b) in &others[i + 1..] {
                    match closer(corners_a, corners_b, centre, self.rules.distance_margin) {
                        Err(reason) => self.reject(TASK, format!("{a} and {b}, seen from {anchor}"), reason),
                        Ok((first, because)) => {
                            let ((x, of_x), (y, of_y)) = if self.rng.below(2) == 0 {
                                ((a, of_a), (b, of_b))
                            } else {
                                ((b, of_b), (a, of_a))
                            };
                            let (near, far) = if first { (a, b) } else { (b, a) };
                            fit.push(Question {
                                task: TASK,
                                scene: self.number,
                                question: format!(
                                    "Estimate the real-world distances between objects in this image. Which object is \
                                     closer to the {anchor} (highlighted by a red box), the {x} (highlighted by a blue box) \
                                     or the {y} (highlighted by a green box)?"
                                ),
                                options: vec![near.clone(), far.clone()],
                                lead: "",
                                boxes: vec![of_anchor.bbox, of_x.bbox, of_y.bbox],
                                class: None,
                                area: None,
                                because,
                            });
                        }
                    }
                }
            }
        }
        self.rng.shuffle(&mut fit);
        fit.truncate(self.rules.per_picture);
        fit
    }
}

fn centre(corners: &[[f64; 3]; 8]) -> [f64; 3] {
    std::array::from_fn(|axis| corners.iter().map(|corner| corner[axis]).sum::<f64>() / 8.0)
}

/// Whether all of `a` is closer to `point` than all of `b` by more than `margin`, or the other way round; else why neither.
fn closer(
    a: &[[f64; 3]; 8],
    b: &[[f64; 3]; 8],
    point: [f64; 3],
    margin: f64,
) -> Result<(bool, String), String> {
    let range = |corners: &[[f64; 3]; 8]| {
        let far = |corner: &[f64; 3]| (0..3).map(|i| (corner[i] - point[i]).powi(2)).sum::<f64>().sqrt();
        let distances = corners.iter().map(far);
        distances.fold((f64::INFINITY, 0.0_f64), |(low, high), d| (low.min(d), high.max(d)))
    };
    let ((low_a, high_a), (low_b, high_b)) = (range(a), range(b));
    let because = |near: f64, far: f64| {
        format!("its farthest corner is at {near:.2} m, the other's nearest at {far:.2} m")
    };
    if high_a + margin < low_b {
        Ok((true, because(high_a, low_b)))
    } else if high_b + margin < low_a {
        Ok((false, because(high_b, low_a)))
    } else {
        Err(format!("{low_a:.2} to {high_a:.2} m and {low_b:.2} to {high_b:.2} m are not {margin} m apart"))
    }
}
