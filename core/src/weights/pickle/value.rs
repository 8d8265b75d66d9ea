//! What a pickle says, as plain data.
//!
//! Values live in one list and name each other by number. So a value that a file mentions a thousand times is held
//! once, a list that contains itself is no more than a number, and dropping all of it recurses nowhere.

/// Number of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

/// A value; texts and bytes are those of the file.
#[derive(Debug)]
pub(super) enum Value<'a> {
    /// Something of which no tensor is made: `None`, a float, bytes, a text that is not UTF-8.
    Other,
    Bool(bool),
    Int(i64),
    /// An integer of more than eight bytes, little-endian.
    Long(&'a [u8]),
    Text(&'a str),
    Tuple(Box<[Id]>),
    /// A list, and a set, too.
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or a function: module and name.
    Global(Box<(&'a str, &'a str)>),
    /// What a class or function makes of its arguments. Nothing is called; it is only written down.
    Made(Box<Made>),
    /// Something outside of the pickle, by the value that names it: the data of a tensor.
    Outside(Id),
}

/// A call that was not made.
#[derive(Debug)]
pub(super) struct Made {
    pub callable: Id,
    pub args: Id,
    /// What `__setstate__` was to be given.
    pub state: Option<Id>,
    /// What was set by key, as in an `OrderedDict`.
    pub items: Vec<(Id, Id)>,
}

/// All values of a pickle.
#[derive(Debug, Default)]
pub(super) struct Values<'a> {
    all: Vec<Value<'a>>,
}

impl<'a> Values<'a> {
    /// A value more.
    pub fn push(&mut self, value: Value<'a>) -> Result<Id, &'static str> {
        let id = u32::try_from(self.all.len()).map_err(|_| "too many values")?;
        self.all.push(value);
        Ok(Id(id))
    }

    pub fn get(&self, id: Id) -> &Value<'a> {
        self.all.get(id.0 as usize).unwrap_or(&Value::Other)
    }

    pub fn get_mut(&mut self, id: Id) -> Option<&mut Value<'a>> {
        self.all.get_mut(id.0 as usize)
    }

    /// All of them, in the order in which they were read.
    pub fn all(&self) -> impl Iterator<Item = &Value<'a>> {
        self.all.iter()
    }

    pub fn text(&self, id: Id) -> Option<&'a str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The parts of a tuple.
    pub fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(parts) => Some(parts),
            _ => None,
        }
    }

    /// The parts of a tuple, a list or a set, whichever way it was written.
    pub fn parts(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(parts) => Some(parts),
            Value::List(parts) => Some(parts),
            // `torch.Size((2, 3))`, `set([...])`
            Value::Made(made) => match self.get(*self.tuple(made.args)?.first()?) {
                Value::Tuple(parts) => Some(parts),
                Value::List(parts) => Some(parts),
                _ => None,
            },
            _ => None,
        }
    }

    /// Module and name of a class or function.
    pub fn global(&self, id: Id) -> Option<(&'a str, &'a str)> {
        match self.get(id) {
            Value::Global(global) => Some(**global),
            _ => None,
        }
    }

    pub fn made(&self, id: Id) -> Option<&Made> {
        match self.get(id) {
            Value::Made(made) => Some(made),
            _ => None,
        }
    }

    /// Keys and values of a dictionary or of what behaves like one; none for anything else.
    pub fn items(&self, id: Id) -> &[(Id, Id)] {
        match self.get(id) {
            Value::Dict(items) => items,
            Value::Made(made) => &made.items,
            _ => &[],
        }
    }

    /// The value under a key that is a text; the last one, as in Python.
    pub fn item(&self, id: Id, key: &str) -> Option<Id> {
        self.items(id).iter().rev().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, value)| *value)
    }
}
