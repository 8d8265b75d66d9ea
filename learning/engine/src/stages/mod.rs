//! The stages. Each reads the files of the one before and makes those that are missing.

mod answers;
mod export;
mod judge;
mod pages;
mod pictures;
mod topics;

use serde::{Deserialize, Serialize};

pub(crate) use answers::answers;
pub(crate) use export::export;
pub(crate) use judge::judge;
pub(crate) use pages::{links, pages};
pub(crate) use pictures::pictures;
pub(crate) use topics::topics;

use crate::pages::Link;
use crate::sections::Section;

/// Where a thing belongs: field, subfield and topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub field: String,
    pub subfield: String,
    pub topic: String,
}

/// A page, as its stage keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub link: Link,
    pub subject: Subject,
    pub licence: Option<String>,
    pub sections: Vec<Section>,
    /// Why there are none, where the page could not be had.
    pub failed: Option<String>,
}

/// A picture with what is said about it, ready for a question. Its file is named by it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub id: String,
    pub page: String,
    pub title: String,
    pub subject: Subject,
    pub section: String,
    pub text: String,
    pub caption: String,
    /// Below the folder of the run; nothing where the picture could not be had.
    pub image: Option<String>,
    pub image_url: String,
    pub image_licence: Option<String>,
    pub image_author: Option<String>,
    pub licence: Option<String>,
    pub failed: Option<String>,
}

/// A question and its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub question: String,
    pub answer: String,
    /// Why there is none.
    pub failed: Option<String>,
}

/// What the judge says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub grounded: bool,
    pub why: String,
}
