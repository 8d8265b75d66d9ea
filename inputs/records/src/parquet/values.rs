//! From columns to values.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::DataType;

use super::marks::{INSIDE, Marks, Names};
use crate::Value;

/// The name of a type that is not read, somewhere in `kind`.
pub(super) fn unreadable(kind: &DataType) -> Option<String> {
    use DataType::*;
    match kind {
        Null | Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float16
        | Float32 | Float64 | Utf8 | LargeUtf8 | Binary | LargeBinary | FixedSizeBinary(_) => None,
        List(item) | LargeList(item) | Map(item, _) => unreadable(item.data_type()),
        Struct(fields) => fields.iter().find_map(|field| unreadable(field.data_type())),
        other => Some(other.to_string()),
    }
}

/// The rows of a table, or the values of a column of objects.
pub(super) fn rows(
    table: &StructArray,
    names: &mut Names,
    marks: &Marks,
) -> Result<Vec<Vec<(String, Value)>>, String> {
    let mut columns = Vec::with_capacity(table.num_columns());
    for (field, array) in table.fields().iter().zip(table.columns()) {
        names.push(field.name().clone());
        let optional = marks.json.contains(names) || marks.absent.contains(names);
        columns.push((field.name(), optional, values(array, names, marks)?.into_iter()));
        names.pop();
    }
    let mut out = Vec::with_capacity(table.len());
    for _ in 0..table.len() {
        let mut row = Vec::with_capacity(columns.len());
        for (name, optional, values) in &mut columns {
            match values.next() {
                Some(Slot::Null) if *optional => {}
                Some(Slot::Null) | None => row.push((name.to_string(), Value::Null)),
                Some(Slot::Value(value)) => row.push((name.to_string(), value)),
            }
        }
        out.push(row);
    }
    Ok(out)
}

/// A value of a column; a null of the file is not yet one of the row.
enum Slot {
    Null,
    Value(Value),
}

impl Slot {
    fn value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Value(value) => value,
        }
    }
}

fn values(array: &ArrayRef, names: &mut Names, marks: &Marks) -> Result<Vec<Slot>, String> {
    use DataType::*;
    let whole = |i: i128| Value::Int(i);
    Ok(match array.data_type() {
        Null => (0..array.len()).map(|_| Slot::Null).collect(),
        Boolean => array.as_boolean().iter().map(|b| slot(b.map(Value::Bool))).collect(),
        Int8 => numbers::<Int8Type>(array, |i| whole(i.into())),
        Int16 => numbers::<Int16Type>(array, |i| whole(i.into())),
        Int32 => numbers::<Int32Type>(array, |i| whole(i.into())),
        Int64 => numbers::<Int64Type>(array, |i| whole(i.into())),
        UInt8 => numbers::<UInt8Type>(array, |i| whole(i.into())),
        UInt16 => numbers::<UInt16Type>(array, |i| whole(i.into())),
        UInt32 => numbers::<UInt32Type>(array, |i| whole(i.into())),
        UInt64 => numbers::<UInt64Type>(array, |i| whole(i.into())),
        Float16 => numbers::<Float16Type>(array, |f| Value::Float(f.to_f64())),
        Float32 => numbers::<Float32Type>(array, |f| Value::Float(f.into())),
        Float64 => numbers::<Float64Type>(array, Value::Float),
        Utf8 => texts(array.as_string::<i32>().iter(), names, marks)?,
        LargeUtf8 => texts(array.as_string::<i64>().iter(), names, marks)?,
        Binary => array.as_binary::<i32>().iter().map(|b| slot(b.map(bytes))).collect(),
        LargeBinary => array.as_binary::<i64>().iter().map(|b| slot(b.map(bytes))).collect(),
        FixedSizeBinary(_) => array.as_fixed_size_binary().iter().map(|b| slot(b.map(bytes))).collect(),
        List(_) => {
            let list = array.as_list::<i32>();
            let ends = list.value_offsets().iter().map(|&at| at as usize).collect();
            lists(array, ends, list.values(), names, marks)?
        }
        LargeList(_) => {
            let list = array.as_list::<i64>();
            let ends = list.value_offsets().iter().map(|&at| at as usize).collect();
            lists(array, ends, list.values(), names, marks)?
        }
        Map(..) => {
            let map = array.as_map();
            let ends = map.value_offsets().iter().map(|&at| at as usize).collect();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            lists(array, ends, &entries, names, marks)?
        }
        Struct(_) => {
            let rows = rows(array.as_struct(), names, marks)?;
            let row = |(row, fields)| match array.is_null(row) {
                true => Slot::Null,
                false => Slot::Value(Value::Map(fields)),
            };
            rows.into_iter().enumerate().map(row).collect()
        }
        other => return Err(format!("column `{}` is {other}, which is not read", names.join("."))),
    })
}

fn slot(value: Option<Value>) -> Slot {
    value.map_or(Slot::Null, Slot::Value)
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn numbers<T: ArrowPrimitiveType>(array: &ArrayRef, value: impl Fn(T::Native) -> Value) -> Vec<Slot> {
    array.as_primitive::<T>().iter().map(|number| slot(number.map(&value))).collect()
}

fn texts<'a>(
    texts: impl Iterator<Item = Option<&'a str>>,
    names: &Names,
    marks: &Marks,
) -> Result<Vec<Slot>, String> {
    let json = marks.json.contains(names);
    let value = |text: Option<&str>| match text {
        None => Ok(Slot::Null),
        Some(text) if json => Value::parse(text.as_bytes())
            .map(Slot::Value)
            .map_err(|error| format!("column `{}` is no JSON: {error}", names.join("."))),
        Some(text) => Ok(Slot::Value(Value::from(text))),
    };
    texts.map(value).collect()
}

fn lists(
    array: &ArrayRef,
    ends: Vec<usize>,
    inner: &ArrayRef,
    names: &mut Names,
    marks: &Marks,
) -> Result<Vec<Slot>, String> {
    let (Some(&from), Some(&to)) = (ends.first(), ends.last()) else { return Ok(Vec::new()) };
    names.push(INSIDE.to_owned());
    let inner = values(&inner.slice(from, to - from), names, marks)?;
    names.pop();
    let mut inner = inner.into_iter().map(Slot::value);
    let mut out = Vec::with_capacity(array.len());
    for (row, pair) in ends.windows(2).enumerate() {
        let list: Vec<Value> = inner.by_ref().take(pair[1] - pair[0]).collect();
        out.push(if array.is_null(row) { Slot::Null } else { Slot::Value(Value::List(list)) });
    }
    Ok(out)
}
