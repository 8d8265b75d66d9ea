//! Lists that people type: `A, B,C`. Every option that takes several values with commas reads each of them here.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command};

/// One value of a list, read by `P`: blanks around it are no part of it, and none is empty.
#[derive(Debug, Clone, Copy)]
pub struct Item<P>(pub P);

impl<P: TypedValueParser> TypedValueParser for Item<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let trimmed = value.to_str().map_or(value, |text| OsStr::new(text.trim()));
        if trimmed.is_empty() {
            let name = argument.map_or_else(|| "a list".to_owned(), |argument| format!("`{argument}`"));
            let message =
                format!("{name} has an entry in which nothing stands; is there a comma too many?\n");
            return Err(command.clone().error(ErrorKind::InvalidValue, message));
        }
        self.0.parse_ref(command, argument, trimmed)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::str::FromStr;

    use clap::Parser;
    use clap::builder::EnumValueParser;

    use super::Item;
    use crate::args::Dtype;

    #[derive(Debug, Parser)]
    struct Lists {
        #[arg(long, value_delimiter = ',', value_parser = Item(String::from_str))]
        words: Vec<String>,
        #[arg(long, value_delimiter = ',', allow_hyphen_values = true, value_parser = Item(i32::from_str))]
        numbers: Vec<i32>,
        #[arg(long, value_delimiter = ',', value_parser = Item(NonZeroUsize::from_str))]
        counts: Vec<NonZeroUsize>,
        #[arg(long, value_delimiter = ',', value_parser = Item(EnumValueParser::<Dtype>::new()))]
        types: Vec<Dtype>,
    }

    fn parse(option: &str, list: &str) -> Result<Lists, clap::Error> {
        Lists::try_parse_from(["lists", option, list])
    }

    #[test]
    fn blanks_are_no_part_of_a_value() {
        for list in ["a b,c", " a b , c ", "a b,\tc\n"] {
            assert_eq!(parse("--words", list).unwrap().words, ["a b", "c"], "{list:?}");
        }
        assert_eq!(parse("--numbers", "-4, -2 ,7").unwrap().numbers, [-4, -2, 7]);
        assert_eq!(parse("--counts", " 1 , 2").unwrap().counts.len(), 2);
        assert_eq!(parse("--types", "f32, bf16").unwrap().types, [Dtype::F32, Dtype::Bf16]);
    }

    #[test]
    fn nothing_is_no_value() {
        for (option, list) in [("--words", "a,,b"), ("--words", "a, "), ("--words", ""), ("--numbers", "1,")]
        {
            let error = parse(option, list).unwrap_err().to_string();
            assert!(error.contains(option) && error.contains("comma too many"), "{list:?}: {error}");
        }
        assert!(parse("--types", "f32, f64").unwrap_err().to_string().contains("bf16"));
    }
}
