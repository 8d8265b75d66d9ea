//! The paper's sixteen columns, their groups, and the averages (Cambrian-1, section 3.1).

use serde::Serialize;

use crate::score::TaskScore;

/// A column of the paper's tables.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// The task that it is of.
    pub task: &'static str,
    /// The figure of that task; `score` is its score.
    pub figure: &'static str,
    /// What the figure is divided by before it is averaged: MME's sum of 2000 points by 20.
    pub divisor: f64,
    /// Its group.
    pub group: Group,
}

/// The groups of benchmarks, as clustering and the paper have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Group {
    /// What is in the picture.
    General,
    /// What must be known beside it.
    Knowledge,
    /// What is written in it.
    #[serde(rename = "OCR & Chart")]
    Ocr,
    /// What must really be seen.
    #[serde(rename = "Vision-Centric")]
    Vision,
}

impl Group {
    /// All of them, in the order of the paper.
    pub const ALL: [Self; 4] = [Self::General, Self::Knowledge, Self::Ocr, Self::Vision];

    /// Its name in the paper.
    pub fn name(self) -> &'static str {
        match self {
            Self::General => "General",
            Self::Knowledge => "Knowledge",
            Self::Ocr => "OCR & Chart",
            Self::Vision => "Vision-Centric",
        }
    }
}

const fn column(name: &'static str, task: &'static str, group: Group) -> Column {
    Column { name, task, figure: "score", divisor: 1.0, group }
}

/// The columns in the order of the paper.
pub const COLUMNS: [Column; 16] = [
    Column { divisor: 20.0, ..column("MME", "mme", Group::General) },
    column("MMB", "mmbench-en", Group::General),
    column("SEED", "seed-i", Group::General),
    column("GQA", "gqa", Group::General),
    column("SQA", "scienceqa-i", Group::Knowledge),
    column("MMMU", "mmmu-v", Group::Knowledge),
    column("MathV", "mathvista", Group::Knowledge),
    column("AI2D", "ai2d", Group::Knowledge),
    column("ChartQA", "chartqa", Group::Ocr),
    column("OCRB", "ocrbench", Group::Ocr),
    column("TextVQA", "textvqa", Group::Ocr),
    column("DocVQA", "docvqa", Group::Ocr),
    column("MMVP", "mmvp", Group::Vision),
    column("RWQA", "realworldqa", Group::Vision),
    Column { figure: "2D", ..column("CV2D", "cv-bench", Group::Vision) },
    Column { figure: "3D", ..column("CV3D", "cv-bench", Group::Vision) },
];

/// The column with that heading.
pub fn named(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.name == name)
}

/// What a run has of the paper's table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Value of each column, in the order of [`COLUMNS`], in the column's own unit.
    pub values: Vec<Option<f64>>,
    /// Mean of each group of which every column is there.
    pub groups: Vec<Option<f64>>,
    /// Mean of all sixteen, if all are there.
    pub overall: Option<f64>,
}

/// Groups and averages. A mean of which a column is missing is none: it would not be comparable.
pub fn averaged(values: Vec<Option<f64>>) -> Row {
    let percent = |(value, column): (&Option<f64>, &Column)| value.map(|value| value / column.divisor);
    let mean = |of: Vec<Option<f64>>| {
        let all: Option<Vec<f64>> = of.into_iter().collect();
        all.filter(|all| !all.is_empty()).map(|all| all.iter().sum::<f64>() / all.len() as f64)
    };
    let of_group = |group: Group| {
        let columns = values.iter().zip(&COLUMNS).filter(|(_, column)| column.group == group);
        mean(columns.map(percent).collect())
    };
    let groups = Group::ALL.into_iter().map(of_group).collect();
    let overall = mean(values.iter().zip(&COLUMNS).map(percent).collect());
    Row { values, groups, overall }
}

/// The row of scores by any rules.
pub fn row(scores: &[TaskScore]) -> Row {
    let value = |column: &Column| {
        let score = scores.iter().find(|score| score.task == column.task)?;
        score.figure(column.figure).map(|figure| figure.value)
    };
    averaged(COLUMNS.iter().map(value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published;

    #[test]
    fn averages_are_the_papers() {
        // The first row of the paper's table of encoder combinations.
        let row = published::encoders().into_iter().find(|row| row.model == "SigLIP+DINOv2").unwrap();
        let mean = averaged(row.values.clone()).overall.unwrap();
        assert!((mean - 51.61).abs() < 0.005, "{mean}");
        // All of those with an average, and the groups of the final models. Published figures are rounded, and so are the
        // columns that they were made of.
        for row in published::all() {
            let made = averaged(row.values.clone());
            if let (Some(made), Some(published)) = (made.overall, row.average) {
                assert!((made - published).abs() < 0.1, "{}: {made}, published {published}", row.model);
            }
            for ((made, published), group) in made.groups.iter().zip(&row.groups).zip(Group::ALL) {
                if let (Some(made), Some(published)) = (made, published) {
                    assert!(
                        (made - published).abs() < 0.15,
                        "{} {}: {made}, published {published}",
                        row.model,
                        group.name()
                    );
                }
            }
        }
    }

    #[test]
    fn half_a_group_has_no_mean() {
        let mut values = vec![Some(50.0); 16];
        values[0] = Some(1000.0);
        let whole = averaged(values.clone());
        assert_eq!((whole.overall, whole.groups.clone()), (Some(50.0), vec![Some(50.0); 4]));
        values[12] = None;
        let part = averaged(values);
        assert_eq!((part.overall, part.groups), (None, vec![Some(50.0), Some(50.0), Some(50.0), None]));
    }
}
