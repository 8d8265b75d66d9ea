//! What a task file says.

use std::collections::BTreeMap;

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde_spanned::Spanned;

use crate::rules::Rule;

/// A task of Zoo: questions about images and how replies to them are judged.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Task")]
pub struct Spec {
    /// The name by which commands know it, that of the file.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Where the data are.
    pub source: Source,
    /// Columns that have several names in what is published: the name used here, and those to look for, in order.
    #[serde(default)]
    pub fields: BTreeMap<String, OneOrMany>,
    /// Columns of one's own: templates over the others.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub derive: BTreeMap<String, Spanned<String>>,
    /// Which rows are asked: an expression over the columns, as in the prompt.
    #[schemars(with = "Option<String>")]
    pub keep: Option<Spanned<String>>,
    /// The column that identifies a row; its number where there is none.
    pub id: Option<String>,
    /// The picture; none for questions without one.
    pub image: Option<ImageSpec>,
    /// The options to choose from.
    pub options: Option<OptionsSpec>,
    /// The question, as a template over the columns (Jinja), `options` (each with `letter` and `text`) and `index`.
    #[schemars(with = "String")]
    pub prompt: Spanned<String>,
    /// Text behind the question, on a line of its own: how to answer.
    pub suffix: Option<String>,
    /// Other suffixes for some rows.
    pub suffixes: Option<Suffixes>,
    /// What is right.
    pub answer: Option<AnswerSpec>,
    /// The column that says which kind of question it is, where the rule depends on it.
    pub kind: Option<String>,
    /// Labels that are known to be wrong, and what is right. Scores are given with and without.
    pub corrections: Option<Corrections>,
    /// How replies are made.
    #[serde(default)]
    pub generation: Generation,
    /// How each harness reads a reply.
    pub rules: Rules,
    /// How verdicts become a score.
    #[serde(default)]
    pub metric: Metric,
    /// Columns by whose values scores are also given.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Names for values of such columns: column, value, name.
    #[serde(default)]
    pub labels: BTreeMap<String, BTreeMap<String, String>>,
    /// The score of guessing, in percent, where it does not follow from the options.
    pub chance: Option<f64>,
    /// The file for a server that judges.
    pub submission: Option<Submission>,
    /// What whoever compares scores should know.
    pub note: Option<String>,
}

/// Where data are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Source {
    /// The data set on the Hub.
    pub hub: Option<String>,
    /// Its configuration.
    pub config: Option<String>,
    /// Its split.
    pub split: Option<String>,
    /// Patterns of the files, from the folder of the data; of several patterns the first that matches anything is taken,
    /// so older layouts come behind.
    #[schemars(with = "Vec<String>")]
    pub files: Vec<Spanned<String>>,
}

/// One name or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several, the first that is there counts.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// Where the picture of a row is: in a column, at a path, or in another table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageSpec {
    /// The column: bytes, base64, a path, or a list of which the first counts.
    pub column: Option<String>,
    /// The path, from the folder of the data: a template over the columns.
    #[schemars(with = "Option<String>")]
    pub path: Option<Spanned<String>>,
    /// Another table in which the value of `column` is looked up.
    pub join: Option<Join>,
    /// Rows without a picture are asked without one; otherwise they are an error.
    #[serde(default)]
    pub optional: bool,
}

/// A table of pictures.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Join {
    /// Patterns of its files.
    pub files: Vec<String>,
    /// The column with what is looked up.
    pub key: String,
    /// The column with the picture.
    pub column: String,
}

/// Where the options of a row are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OptionsSpec {
    /// The column with all of them.
    pub column: Option<String>,
    /// A column each.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The value that stands for no option.
    pub none: Option<String>,
    /// How they are written in `column`.
    #[serde(default)]
    pub written: Written,
}

/// How options are written in one column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Written {
    /// A list, or text that is a list in JSON or Python.
    #[default]
    List,
    /// What stands between single quotes in a text: the reference's way, which loses options with apostrophes.
    Quoted,
    /// `(a) one (b) another`.
    Parentheses,
}

/// Suffixes by the value of a column.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Suffixes {
    /// The column.
    pub by: String,
    /// The suffix for each value; `suffix` is for the others.
    pub values: BTreeMap<String, String>,
}

/// What is right.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AnswerSpec {
    /// The column.
    pub column: String,
    /// How it is written.
    pub form: Form,
    /// The key of the answer where the column holds an object, or JSON as text: names from the outside in.
    #[serde(default)]
    pub within: Vec<String>,
    /// How many answers there must be.
    pub count: Option<usize>,
    /// Answers may be missing, as in the test sets of which a server knows them.
    #[serde(default)]
    pub optional: bool,
}

/// How the right answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A letter, also as `(B)`.
    Letter,
    /// The number of the option, from 0.
    Index,
    /// Text.
    Text,
    /// A list of texts, also as JSON or Python write one.
    Texts,
    /// The text of the right option.
    Option,
    /// A letter where the row has options, else text.
    LetterOrText,
    /// The text of the right option where the row has options, else text.
    OptionOrText,
}

/// Labels that are known to be wrong.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Corrections {
    /// The column by which rows are known.
    pub by: String,
    /// The right answers of those rows, in the form of `answer`.
    pub labels: BTreeMap<String, String>,
    /// Where they come from.
    pub source: Option<String>,
}

/// How replies are made.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Generation {
    /// Tokens at most.
    pub max_new_tokens: usize,
}

impl Default for Generation {
    fn default() -> Self {
        Self { max_new_tokens: 512 }
    }
}

/// The rule of each harness.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rules {
    /// As the paper and its authors mean it.
    pub paper: Rule,
    /// As the paper's released code does it.
    pub cambrian: Option<Rule>,
    /// As lmms-eval does it.
    pub lmms_eval: Option<Rule>,
    /// As VLMEvalKit does it.
    pub vlmeval: Option<Rule>,
}

/// What a group of rows is that count together.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GroupBy {
    /// Columns whose values they have in common.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Whether they have the same picture.
    #[serde(default)]
    pub picture: bool,
    /// A column of which only the rest by this number counts.
    pub modulo: Option<(String, u64)>,
}

/// How verdicts become a score.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Metric {
    /// The mean of the verdicts, in percent.
    #[default]
    Accuracy,
    /// The mean, over the values of a column, of the mean of the verdicts, to the harnesses that take it; the plain mean
    /// to the others.
    GroupMean {
        /// The column.
        by: String,
    },
    /// CV-Bench: sources, then dimensions.
    CvBench {
        /// The column with `COCO`, `ADE20K` or `Omni3D`.
        source: String,
        /// The column with the task.
        task: String,
    },
    /// Groups of questions all of whose variants are right, in percent: MMBench.
    Circular {
        /// What a group is.
        by: GroupBy,
        /// What a group is to the harnesses that number their questions.
        #[serde(rename = "by-number")]
        by_number: Option<GroupBy>,
    },
    /// Pairs of neighbours that are both right, in percent: MMVP.
    Pairs {
        /// The column with the number of a row, from 1.
        by: String,
    },
    /// Per category `100 (accuracy + pairs both right)`, summed over those of perception: MME.
    Mme {
        /// The column with the category.
        category: String,
        /// The column that the two questions about a picture share.
        image: String,
        /// Categories of perception.
        perception: Vec<String>,
        /// Categories of cognition.
        cognition: Vec<String>,
    },
    /// No score here.
    Submission,
}

/// The file for a server that judges.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Submission {
    /// The key of the question's id; with `map`, ids are the keys of one object.
    pub id: String,
    /// The key of the reply.
    #[serde(default = "answer")]
    pub answer: String,
    /// Ids are numbers.
    #[serde(default)]
    pub number: bool,
    /// One object from id to reply in place of a list.
    #[serde(default)]
    pub map: bool,
    /// Text behind the id.
    #[serde(default)]
    pub id_suffix: String,
    /// Replies in lower case.
    #[serde(default)]
    pub lower: bool,
}

fn answer() -> String {
    "answer".to_owned()
}

/// The JSON schema of a task file, for editors; `zoo eval schema` prints it.
pub fn schema() -> serde_json::Value {
    schema_for!(Spec).into()
}
