//! `config.json`: the fields that Zoo reads, with what the reference assumes where one is absent.
//!
//! Tolerant, because these files were written by many versions of many scripts: whatever is not known is ignored,
//! `null` is as good as absent, and known mistakes are read as what was meant, with a warning.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::files::object;
use crate::nested::flat;
use crate::{Error, Result};

/// A configuration, with readers that name the key that is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    path: PathBuf,
    fields: Map<String, Value>,
}

/// The fields of Cambrian-1 and LLaVA. Defaults are those of Cambrian-1's training arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vision {
    /// Names of the towers, in order.
    pub towers: Vec<String>,
    /// Whether the towers come from `mm_vision_tower_aux_list` and not from LLaVA's `mm_vision_tower`: Cambrian-1
    /// then cuts padding away and ends rows with a newline, which LLaVA-1.5 does not.
    pub cambrian: bool,
    /// Tokens of each tower, where the file says them.
    pub token_lens: Option<Vec<usize>>,
    pub select_layer: i32,
    pub projector: String,
    pub image_token_len: usize,
    /// Groups of queries, as many as `query_num_list` must have numbers.
    pub groups: usize,
    pub query_num_list: Vec<usize>,
    pub connector_depth: usize,
    pub vision_hidden_size: usize,
    /// Layers inside the language model: count, start, stride.
    pub inside: Option<[usize; 3]>,
}

impl Config {
    pub fn read(path: &Path) -> Result<Self> {
        let mut fields = object(path)?;
        fields.retain(|_, value| !value.is_null());
        flat(&mut fields);
        rope(&mut fields);
        Ok(Self { path: path.to_owned(), fields })
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A value, unless it is absent or null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key)
    }

    pub fn fault(&self, message: impl Into<String>) -> Error {
        Error::file(&self.path, message)
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "text", Value::as_str)
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub fn number(&self, key: &str) -> Result<Option<usize>> {
        self.typed(key, "a whole number", whole)
    }

    /// A number that may be negative.
    pub fn index(&self, key: &str) -> Result<Option<i32>> {
        self.typed(key, "a whole number", |v| i32::try_from(v.as_i64()?).ok())
    }

    pub fn numbers(&self, key: &str) -> Result<Option<Vec<usize>>> {
        self.typed(key, "a list of whole numbers", |v| v.as_array()?.iter().map(whole).collect())
    }

    fn texts(&self, key: &str) -> Result<Option<Vec<String>>> {
        let all = |v: &Value| v.as_array()?.iter().map(|t| Some(t.as_str()?.to_owned())).collect();
        self.typed(key, "a list of texts", all)
    }

    /// One number or several: `eos_token_id`.
    pub fn ids(&self, key: &str) -> Result<Vec<u32>> {
        let id = |v: &Value| u32::try_from(v.as_u64()?).ok();
        let all = |v: &Value| match v {
            Value::Array(list) => list.iter().map(id).collect::<Option<Vec<_>>>(),
            one => Some(vec![id(one)?]),
        };
        Ok(self.typed(key, "a token id or a list of them", all)?.unwrap_or_default())
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(self.fault(format!("`{key}` is {value}; {expected} is expected there"))),
        }
    }

    /// What the file says of images; none for a language model on its own.
    ///
    /// # Errors
    /// [`Error::File`] for values of a wrong type, and for what no released model has and this program cannot do.
    pub fn vision(&self, warnings: &mut Vec<String>) -> Result<Option<Vision>> {
        let several = self.texts("mm_vision_tower_aux_list")?.filter(|list| !list.is_empty());
        let cambrian = several.is_some();
        let towers = match (several, self.text("mm_vision_tower")?) {
            (Some(several), _) => several,
            (None, Some(one)) => vec![one.to_owned()],
            (None, None) => return Ok(None),
        };
        self.refuse_what_no_model_has()?;
        if self.text("image_aspect_ratio")? != Some("pad") {
            warnings.push(format!(
                "{}: `image_aspect_ratio` is not \"pad\"; images are padded to a square nevertheless",
                self.path.display()
            ));
        }
        let lens = match self.numbers("mm_vision_tower_aux_token_len_list")? {
            None => self.numbers("vision_tower_aux_token_len_list")?,
            lens => lens,
        };
        if let Some(lens) = lens.as_ref().filter(|lens| lens.len() != towers.len()) {
            return Err(self.fault(format!(
                "`mm_vision_tower_aux_token_len_list` has {} numbers for {} towers",
                lens.len(),
                towers.len()
            )));
        }
        let queries = self.numbers("query_num_list")?.unwrap_or_else(|| vec![576]);
        let only = self.flag("connector_only")?.unwrap_or(true);
        let inside = [
            self.number("num_of_vision_sampler_layers")?.unwrap_or(10),
            self.number("start_of_vision_sampler_layers")?.unwrap_or(16),
            self.number("stride_of_vision_sampler_layers")?.unwrap_or(1),
        ];
        Ok(Some(Vision {
            towers,
            cambrian,
            token_lens: lens,
            select_layer: self.index("mm_vision_select_layer")?.unwrap_or(-1),
            projector: self.text("mm_projector_type")?.unwrap_or("linear").to_owned(),
            image_token_len: self.number("image_token_len")?.unwrap_or(576),
            groups: self.number("num_query_group")?.unwrap_or(1),
            query_num_list: queries,
            connector_depth: self.number("connector_depth")?.unwrap_or(1),
            vision_hidden_size: self.number("vision_hidden_size")?.unwrap_or(1024),
            inside: (!only).then_some(inside),
        }))
    }

    fn refuse_what_no_model_has(&self) -> Result<()> {
        if self.flag("mm_use_im_start_end")? == Some(true) {
            return Err(self.fault("`mm_use_im_start_end` is true: marks around images are not supported"));
        }
        if let Some(feature) = self.text("mm_vision_select_feature")?.filter(|f| *f != "patch") {
            return Err(self
                .fault(format!("`mm_vision_select_feature` is \"{feature}\"; only \"patch\" is supported")));
        }
        if let Some(merge) = self.text("mm_patch_merge_type")?.filter(|m| *m != "flat") {
            return Err(
                self.fault(format!("`mm_patch_merge_type` is \"{merge}\"; only \"flat\" is supported"))
            );
        }
        if let Some(anyres) = self.text("image_aspect_ratio")?.filter(|a| a.starts_with("anyres")) {
            return Err(self.fault(format!(
                "`image_aspect_ratio` is \"{anyres}\": images in tiles are not supported, only \"pad\""
            )));
        }
        Ok(())
    }
}

fn whole(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

/// Newer files put `rope_theta`, `partial_rotary_factor` and the scaling into one table, `rope_parameters`.
fn rope(fields: &mut Map<String, Value>) {
    let Some(Value::Object(mut table)) = fields.remove("rope_parameters") else { return };
    for key in ["rope_theta", "partial_rotary_factor"] {
        if let Some(value) = table.remove(key) {
            fields.entry(key).or_insert(value);
        }
    }
    let kind = table.get("rope_type").or(table.get("type")).and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "default") {
        fields.entry("rope_scaling").or_insert(Value::Object(table));
    }
}
