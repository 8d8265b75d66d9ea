//! Which columns rows need. What one type of Parquet cannot hold exactly becomes JSON text, and is marked as such.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields};

use super::marks::{INSIDE, Marks, Names};
use crate::Value;

/// Objects with more names than this, or deeper than [`DEEPEST`], are data and no columns.
const MOST: usize = 512;
const DEEPEST: usize = 12;

/// What the values of one column have in common.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Nothing but nulls so far.
    Unknown,
    Bool,
    Int {
        least: i128,
        most: i128,
    },
    Float,
    Text,
    Bytes,
    List(Box<Kind>),
    Map(Columns),
    /// Too different for one type.
    Json,
}

/// The names of objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Columns {
    rows: u64,
    pub(super) columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(super) name: String,
    seen: u64,
    null: bool,
    pub(super) kind: Kind,
}

impl Kind {
    /// Widens the kind so that it holds `value`.
    fn see(&mut self, value: &Value) {
        if let Self::Unknown = self {
            *self = match value {
                Value::Null => return,
                Value::Bool(_) => Self::Bool,
                Value::Int(i) => Self::Int { least: *i, most: *i },
                Value::Float(_) => Self::Float,
                Value::Text(_) => Self::Text,
                Value::Bytes(_) => Self::Bytes,
                Value::List(_) => Self::List(Box::new(Self::Unknown)),
                Value::Map(_) => Self::Map(Columns::default()),
            };
        }
        match (&mut *self, value) {
            (Self::Json, _)
            | (_, Value::Null)
            | (Self::Bool, Value::Bool(_))
            | (Self::Float, Value::Float(_))
            | (Self::Text, Value::Text(_))
            | (Self::Bytes, Value::Bytes(_)) => {}
            (Self::Int { least, most }, Value::Int(i)) => {
                (*least, *most) = ((*least).min(*i), (*most).max(*i))
            }
            (Self::List(kind), Value::List(list)) => list.iter().for_each(|value| kind.see(value)),
            (Self::Map(columns), Value::Map(fields)) => columns.see(fields),
            _ => *self = Self::Json,
        }
    }

    /// Decides what has to be JSON text, and notes it.
    fn settle(&mut self, names: &mut Names, marks: &mut Marks) {
        let json = match self {
            Self::Unknown | Self::Json => true,
            Self::Int { least, most } => {
                i64::try_from(*least).is_err() && *least < 0
                    || u64::try_from(*most).is_err() && *most > 0
                    || *least < 0 && i64::try_from(*most).is_err()
            }
            Self::Map(columns) => columns.columns.is_empty() || columns.columns.len() > MOST,
            _ => false,
        };
        if json || names.len() > DEEPEST {
            *self = Self::Json;
            marks.json.insert(names.clone());
            return;
        }
        match self {
            Self::List(kind) => {
                names.push(INSIDE.to_owned());
                kind.settle(names, marks);
                names.pop();
            }
            Self::Map(columns) => columns.settle(names, marks),
            _ => {}
        }
    }

    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int { most, .. } if *most > i128::from(i64::MAX) => DataType::UInt64,
            Self::Int { .. } => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text | Self::Json | Self::Unknown => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::List(kind) => DataType::List(Arc::new(item(kind))),
            Self::Map(columns) => DataType::Struct(columns.fields()),
        }
    }
}

/// The field of the values of a list, as the standard calls it.
pub(super) fn item(kind: &Kind) -> Field {
    Field::new("element", kind.data_type(), true)
}

impl Columns {
    /// Widens the columns so that they hold a row.
    pub fn see(&mut self, fields: &[(String, Value)]) {
        self.rows += 1;
        for (at, (name, value)) in fields.iter().enumerate() {
            // Rows mostly have the same names in the same order.
            let found = match self.columns.get(at).is_some_and(|column| column.name == *name) {
                true => Some(at),
                false => self.columns.iter().position(|column| column.name == *name),
            };
            let column = match found {
                Some(at) => &mut self.columns[at],
                // One more than is allowed tells that there are too many.
                None if self.columns.len() > MOST => continue,
                None => {
                    self.columns.push(Column {
                        name: name.clone(),
                        seen: 0,
                        null: false,
                        kind: Kind::Unknown,
                    });
                    let last = self.columns.len() - 1;
                    &mut self.columns[last]
                }
            };
            column.seen += 1;
            column.null |= *value == Value::Null;
            column.kind.see(value);
        }
    }

    /// As [`Kind::settle`].
    pub(super) fn settle(&mut self, names: &mut Names, marks: &mut Marks) {
        for column in &mut self.columns {
            names.push(column.name.clone());
            let absent = column.seen < self.rows;
            if absent && column.null {
                column.kind = Kind::Json;
            }
            if absent {
                marks.absent.insert(names.clone());
            }
            column.kind.settle(names, marks);
            names.pop();
        }
    }

    pub fn fields(&self) -> Fields {
        self.columns.iter().map(|column| Field::new(&column.name, column.kind.data_type(), true)).collect()
    }

    /// Whether there are rows, and nothing in any of them.
    pub fn none(&self) -> bool {
        self.rows > 0 && self.columns.is_empty()
    }

    /// Whether a row needs more columns than a table has.
    pub fn too_many(&self) -> bool {
        self.columns.len() > MOST
    }
}
