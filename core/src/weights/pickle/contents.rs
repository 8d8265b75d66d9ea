//! Which tensors a pickle holds, and under which names.
//!
//! A checkpoint is a dictionary of tensors, at the top or under one of the names that training scripts use. It may also
//! be a whole module, as `torch.save(model)` and TorchScript write it; its tensors then have the names of its
//! `state_dict()`.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::DType;

use super::value::{Id, Value, Values};
use super::view::View;

/// Keys under which training scripts put the weights, best first.
const NESTS: [&str; 8] =
    ["state_dict", "model", "encoder", "model_state_dict", "module", "model_ema", "teacher", "student"];

/// Modules within modules, and rebuilding functions within each other, that are followed.
const DEEPEST: usize = 64;

/// Attributes that are looked at in all: a module that stands twice in another, ten times over, would take a thousand
/// times as many as the file has.
const MOST: usize = 1 << 20;

/// The tensors of what was saved, by name.
///
/// # Errors
/// In words: what was saved holds none, or its modules are nested without end.
pub(super) fn tensors(values: &Values<'_>, top: Id) -> Result<BTreeMap<String, View>, String> {
    let nests = NESTS.iter().filter_map(|name| values.item(top, name));
    for candidate in nests.chain([top]) {
        let mut found = Found { values, spent: 0, views: BTreeMap::new() };
        found.all(candidate)?;
        if !found.views.is_empty() {
            return Ok(found.views);
        }
    }
    let names: Vec<String> = values
        .items(top)
        .iter()
        .filter_map(|(key, _)| Some(format!("`{}`", values.text(*key)?)))
        .take(8)
        .collect();
    if names.is_empty() && !matches!(values.get(top), Value::Dict(_)) {
        return Err("what was saved is not a dictionary of tensors".into());
    }
    Err(format!(
        "no tensors found: looked at the top and under {}; the file has {}",
        NESTS.join(", "),
        if names.is_empty() { "no names".to_owned() } else { names.join(", ") }
    ))
}

struct Found<'v, 'a> {
    values: &'v Values<'a>,
    spent: usize,
    views: BTreeMap<String, View>,
}

impl Found<'_, '_> {
    /// Those of a dictionary, or of a module.
    fn all(&mut self, id: Id) -> Result<(), String> {
        self.dictionary(id, "")?;
        if self.views.is_empty() { self.module(id, "", 0) } else { Ok(()) }
    }

    fn spend(&mut self, count: usize) -> Result<(), String> {
        self.spent = self.spent.saturating_add(count);
        if self.spent > MOST {
            return Err(format!("its modules have more than {MOST} attributes, which no model has"));
        }
        Ok(())
    }

    /// The tensors among the items of a dictionary.
    fn dictionary(&mut self, id: Id, prefix: &str) -> Result<(), String> {
        let items = self.values.items(id);
        self.spend(items.len())?;
        for (key, value) in items {
            if let (Some(key), Some(view)) = (self.values.text(*key), tensor(self.values, *value)) {
                self.views.insert(format!("{prefix}{key}"), view);
            }
        }
        Ok(())
    }

    /// The tensors of a module, and of the modules within it.
    fn module(&mut self, id: Id, prefix: &str, depth: usize) -> Result<(), String> {
        let values = self.values;
        let Some(state) = values.made(id).and_then(|made| made.state) else { return Ok(()) };
        let attributes = values.items(state);
        self.spend(attributes.len() + 1)?;
        if depth > DEEPEST {
            return Err(format!("its modules are nested deeper than {DEEPEST}, which no model is"));
        }
        let inner = match values.item(state, "_modules") {
            Some(inner) => {
                self.eager(state, prefix)?;
                values.items(inner)
            }
            // TorchScript: tensors and modules are attributes side by side.
            None => {
                self.dictionary(state, prefix)?;
                attributes
            }
        };
        for (name, module) in inner {
            if let Some(name) = values.text(*name) {
                self.module(*module, &format!("{prefix}{name}."), depth + 1)?;
            }
        }
        Ok(())
    }

    /// The parameters and buffers of a module in Python, as its `state_dict()` has them.
    fn eager(&mut self, state: Id, prefix: &str) -> Result<(), String> {
        let values = self.values;
        if let Some(parameters) = values.item(state, "_parameters") {
            self.dictionary(parameters, prefix)?;
        }
        let Some(buffers) = values.item(state, "_buffers") else { return Ok(()) };
        let passing = values.item(state, "_non_persistent_buffers_set").and_then(|set| values.parts(set));
        let passing: BTreeSet<&str> =
            passing.unwrap_or_default().iter().filter_map(|id| values.text(*id)).collect();
        self.spend(passing.len())?;
        self.dictionary(buffers, prefix)?;
        for name in passing {
            self.views.remove(&format!("{prefix}{name}"));
        }
        Ok(())
    }
}

/// The tensor that a value stands for, if it is one.
fn tensor(values: &Values<'_>, id: Id) -> Option<View> {
    let made = values.made(id)?;
    let (mut callable, mut args) = (made.callable, made.args);
    for _ in 0..DEEPEST {
        let ("torch._utils" | "torch._tensor", function) = values.global(callable)? else { return None };
        let parts = values.tuple(args)?;
        match function {
            "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3" => return view(values, parts),
            "_rebuild_parameter" | "_rebuild_parameter_with_state" => {
                let data = values.made(*parts.first()?)?;
                (callable, args) = (data.callable, data.args);
            }
            // function, type, arguments, state
            "_rebuild_from_type_v2" => (callable, args) = (*parts.first()?, *parts.get(2)?),
            _ => return None,
        }
    }
    None
}

/// storage, offset, size, stride, requires_grad, hooks; with version 3 also the element type.
fn view(values: &Values<'_>, parts: &[Id]) -> Option<View> {
    let [storage, offset, shape, stride, ..] = parts else { return None };
    let Value::Outside(name) = values.get(*storage) else { return None };
    // "storage", class, key, device, elements; in the form before the archives also a view of that storage.
    let [_, class, key, rest @ ..] = values.tuple(*name)? else { return None };
    let within = match rest.get(2).and_then(|view| values.tuple(*view)) {
        Some([_, offset, ..]) => values.size(*offset)?,
        _ => 0,
    };
    let class = match parts.get(6).and_then(|dtype| values.global(*dtype)) {
        Some((_, dtype)) => dtype,
        None => values.global(*class)?.1,
    };
    let sizes = |id: Id| values.parts(id)?.iter().map(|size| values.size(*size)).collect::<Option<Vec<_>>>();
    let view = View {
        dtype: dtype(class),
        class: class.to_owned(),
        shape: sizes(*shape)?,
        stride: sizes(*stride)?,
        offset: values.size(*offset)?.checked_add(within)?,
        storage: values.text(*key)?.to_owned(),
    };
    view.possible().then_some(view)
}

/// The element type by the name of its storage's class, or by its own.
fn dtype(class: &str) -> Option<DType> {
    Some(match class {
        "FloatStorage" | "float32" => DType::F32,
        "DoubleStorage" | "float64" => DType::F64,
        "HalfStorage" | "float16" => DType::F16,
        "BFloat16Storage" | "bfloat16" => DType::BF16,
        "ByteStorage" | "uint8" => DType::U8,
        "ShortStorage" | "int16" => DType::I16,
        "IntStorage" | "int32" => DType::I32,
        "LongStorage" | "int64" => DType::I64,
        "float8_e4m3fn" => DType::F8E4M3,
        _ => return None,
    })
}
