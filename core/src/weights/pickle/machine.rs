//! The stack machine of pickles, protocols 2 to 5 (Python's `pickletools`), of which nothing is executed.
//!
//! Calls are written down and not made. Values are shared ([`super::value`]), the machine itself never recurses, and
//! what a file can make it hold is bounded: lengths that a file states are held against the file, and every value,
//! place on the stack and part of a list is counted.

use std::collections::HashMap;

use super::input::Input;
use super::value::{Id, Made, Value, Values};

/// Values and parts of lists that one pickle may have. A checkpoint takes about forty for each of its tensors; beyond
/// this bound it would take half a gigabyte.
const MOST: usize = 8 << 20;

/// What a pickle says, and where it ends.
pub(super) struct Read<'a> {
    pub values: Values<'a>,
    pub top: Id,
    pub end: usize,
}

/// Reads the pickle that begins at `at`.
///
/// # Errors
/// In words: instructions that no writer makes, those of protocols 0 and 1, and more values than are read.
pub(super) fn read(bytes: &[u8], at: usize) -> Result<Read<'_>, String> {
    let mut machine = Machine {
        input: Input::new(bytes, at),
        values: Values::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        spent: 0,
    };
    loop {
        let at = machine.input.at();
        let code = machine.input.u8()?;
        if code == b'.' {
            let top = machine.pop()?;
            return Ok(Read { values: machine.values, top, end: machine.input.at() });
        }
        machine.step(code).map_err(|message| format!("at byte {at}: {message}"))?;
    }
}

struct Machine<'a> {
    input: Input<'a>,
    values: Values<'a>,
    stack: Vec<Id>,
    /// Heights of the stack at which a mark stands. What lies below the last one is not to be reached.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    spent: usize,
}

impl<'a> Machine<'a> {
    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            // Protocol and frames: of no meaning beyond their bytes.
            0x80 => match self.input.u8()? {
                0..=5 => Ok(()),
                other => Err(format!("pickle protocol {other}, which is not known")),
            },
            0x95 => self.input.u64().map(drop),
            // Values.
            b'N' => self.push(Value::Other),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => self.input.u8().and_then(|n| self.push(Value::Int(n.into()))),
            b'M' => self.input.u16().and_then(|n| self.push(Value::Int(n.into()))),
            b'J' => self.input.u32().and_then(|n| self.push(Value::Int(n.cast_signed().into()))),
            0x8a => self.input.u8().and_then(|length| self.long(length.into())),
            0x8b => self.input.u32().and_then(|length| self.long(length as usize)),
            b'G' => self.input.u64().and_then(|_| self.push(Value::Other)),
            b'U' | 0x8c => self.input.u8().and_then(|length| self.text(length)),
            b'T' | b'X' => self.input.u32().and_then(|length| self.text(length)),
            0x8d => self.input.u64().and_then(|length| self.text(length)),
            b'C' => self.input.u8().and_then(|length| self.bytes(length)),
            b'B' => self.input.u32().and_then(|length| self.bytes(length)),
            0x8e | 0x96 => self.input.u64().and_then(|length| self.bytes(length)),
            // The stack.
            b'(' => self.spend(1).map(|()| self.marks.push(self.stack.len())),
            b'0' => match self.marks.last() {
                Some(mark) if *mark == self.stack.len() => {
                    self.marks.pop();
                    Ok(())
                }
                _ => self.pop().map(drop),
            },
            b'1' => self.marked().map(drop),
            b'2' => self.top().and_then(|id| self.place(id)),
            // What was said before.
            b'q' => self.input.u8().and_then(|slot| self.remember(slot.into())),
            b'r' => self.input.u32().and_then(|slot| self.remember(slot)),
            0x94 => self.remember(u32::try_from(self.memo.len()).unwrap_or(u32::MAX)),
            b'h' => self.input.u8().and_then(|slot| self.recall(slot.into())),
            b'j' => self.input.u32().and_then(|slot| self.recall(slot)),
            // Tuples, lists, sets and dictionaries.
            b')' => self.tuple(0),
            0x85..=0x87 => self.tuple(usize::from(code - 0x84)),
            b't' => self.marked().and_then(|parts| self.push(Value::Tuple(parts.into()))),
            b']' | 0x8f => self.push(Value::List(Vec::new())),
            b'l' | 0x91 => self.marked().and_then(|parts| self.push(Value::List(parts))),
            b'a' => self.pop().and_then(|part| self.append(&[part])),
            b'e' | 0x90 => self.marked().and_then(|parts| self.append(&parts)),
            b'}' => self.push(Value::Dict(Vec::new())),
            b'd' => self.marked().and_then(|parts| pairs(&parts)).and_then(|it| self.push(Value::Dict(it))),
            b's' => self.last(2).and_then(|parts| self.set(&parts)),
            b'u' => self.marked().and_then(|parts| self.set(&parts)),
            // Classes, functions, and what they would make.
            b'c' => self.named(),
            0x93 => self.last(2).and_then(|parts| {
                match [self.values.text(parts[0]), self.values.text(parts[1])] {
                    [Some(module), Some(name)] => self.push(Value::Global(Box::new((module, name)))),
                    _ => Err("a class whose name is no text".into()),
                }
            }),
            b'R' | 0x81 => self.last(2).and_then(|parts| self.make(parts[0], parts[1])),
            0x92 => self.last(3).and_then(|parts| self.make(parts[0], parts[1])),
            b'o' => {
                let parts = self.marked()?;
                let (class, args) = parts.split_first().ok_or("an object without a class")?;
                self.push(Value::Tuple(args.into()))?;
                let args = self.pop()?;
                self.make(*class, args)
            }
            b'b' => {
                let state = self.pop()?;
                let top = self.top()?;
                if let Some(Value::Made(made)) = self.values.get_mut(top) {
                    made.state = Some(state);
                }
                Ok(())
            }
            b'Q' => self.pop().and_then(|name| self.push(Value::Outside(name))),
            0x82..=0x84 => Err("an entry of Python's extension registry, which a file does not carry".into()),
            0x97 | 0x98 => Err("data outside of the file".into()),
            b'I' | b'L' | b'F' | b'S' | b'V' | b'g' | b'p' | b'i' | b'P' => {
                Err("pickle protocol 0 or 1, which is not read; torch.save writes 2 to 5".into())
            }
            other => Err(format!("the instruction {other:#04x}, which is not known")),
        }
    }

    fn spend(&mut self, count: usize) -> Result<(), String> {
        self.spent = self.spent.saturating_add(count);
        if self.spent > MOST {
            return Err(format!("it has more than {MOST} values, which no checkpoint needs"));
        }
        Ok(())
    }

    /// A value that is already there.
    fn place(&mut self, id: Id) -> Result<(), String> {
        self.spend(1)?;
        self.stack.push(id);
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), String> {
        self.spend(1)?;
        let id = self.values.push(value)?;
        self.stack.push(id);
        Ok(())
    }

    fn long(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.input.take(length)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        match wide.get_mut(..length) {
            Some(low) => {
                low.copy_from_slice(bytes);
                self.push(Value::Int(i64::from_le_bytes(wide)))
            }
            None => self.push(Value::Long(bytes)),
        }
    }

    /// Python writes halves of surrogate pairs, which are no text here: such a value names nothing.
    fn text(&mut self, length: impl TryInto<usize>) -> Result<(), String> {
        let text = std::str::from_utf8(self.input.counted(length)?);
        self.push(text.map_or(Value::Other, Value::Text))
    }

    fn bytes(&mut self, length: impl TryInto<usize>) -> Result<(), String> {
        self.input.counted(length)?;
        self.push(Value::Other)
    }

    fn named(&mut self) -> Result<(), String> {
        let (module, name) = (self.input.line()?, self.input.line()?);
        match [std::str::from_utf8(module), std::str::from_utf8(name)] {
            [Ok(module), Ok(name)] => self.push(Value::Global(Box::new((module, name)))),
            _ => Err("a class whose name is no text".into()),
        }
    }

    /// How many values lie above the last mark.
    fn reachable(&self) -> usize {
        self.stack.len() - self.marks.last().copied().unwrap_or(0).min(self.stack.len())
    }

    fn top(&self) -> Result<Id, String> {
        let top = self.stack.last().copied().filter(|_| self.reachable() > 0);
        top.ok_or_else(|| "an instruction for a value that is not there".into())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The last values, in the order in which they were pushed.
    fn last(&mut self, count: usize) -> Result<Vec<Id>, String> {
        if self.reachable() < count {
            return Err("an instruction for values that are not there".into());
        }
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    /// Everything above the last mark, which is taken away.
    fn marked(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("an instruction for a mark that is not there")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let parts = self.last(count)?;
        self.push(Value::Tuple(parts.into()))
    }

    fn remember(&mut self, slot: u32) -> Result<(), String> {
        self.spend(1)?;
        let top = self.top()?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), String> {
        let id = self.memo.get(&slot).copied().ok_or_else(|| format!("there is no value {slot} yet"))?;
        self.place(id)
    }

    fn append(&mut self, parts: &[Id]) -> Result<(), String> {
        self.spend(parts.len())?;
        let list = self.top()?;
        match self.values.get_mut(list) {
            Some(Value::List(list)) => list.extend_from_slice(parts),
            // A list of a class of its own: no tensor is found in one.
            Some(Value::Made(_)) => {}
            _ => return Err("something is appended to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, parts: &[Id]) -> Result<(), String> {
        self.spend(parts.len())?;
        let pairs = pairs(parts)?;
        let dict = self.top()?;
        match self.values.get_mut(dict) {
            Some(Value::Dict(items)) => items.extend(pairs),
            Some(Value::Made(made)) => made.items.extend(pairs),
            _ => return Err("a key is set in what is no dictionary".into()),
        }
        Ok(())
    }

    fn make(&mut self, callable: Id, args: Id) -> Result<(), String> {
        self.spend(2)?;
        let items = self.listed(callable, args).unwrap_or_default();
        self.spend(items.len())?;
        self.push(Value::Made(Box::new(Made { callable, args, state: None, items })))
    }

    /// The items of an `OrderedDict` as Python 2 wrote them: a list of lists of two, as the only argument.
    fn listed(&self, callable: Id, args: Id) -> Option<Vec<(Id, Id)>> {
        let ("collections", "OrderedDict") = self.values.global(callable)? else { return None };
        let [Value::List(list)] =
            self.values.tuple(args)?.iter().map(|id| self.values.get(*id)).collect::<Vec<_>>()[..]
        else {
            return None;
        };
        list.iter()
            .map(|pair| <[Id; 2]>::try_from(self.values.parts(*pair)?).ok().map(|[k, v]| (k, v)))
            .collect()
    }
}

fn pairs(parts: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    let pairs = parts.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err("a key without a value".into());
    }
    Ok(pairs.map(|pair| (pair[0], pair[1])).collect())
}
