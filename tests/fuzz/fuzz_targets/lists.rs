//! Any text as a list that somebody types: its entries without the blanks around them, or an error.
#![no_main]

#[path = "../../../cli/src/args/list.rs"]
mod list;

use std::str::FromStr;

use clap::Parser;
use libfuzzer_sys::fuzz_target;

#[derive(Parser)]
struct Lists {
    #[arg(long, value_delimiter = ',', value_parser = list::Item(String::from_str))]
    words: Vec<String>,
    #[arg(long, value_delimiter = ',', value_parser = list::Item(i32::from_str))]
    numbers: Vec<i32>,
}

fn parse(option: &str, text: &str) -> Result<Lists, clap::Error> {
    Lists::try_parse_from(["lists".to_owned(), format!("--{option}={text}")])
}

fuzz_target!(|text: &str| {
    // No argument of a program holds one.
    if text.contains('\0') {
        return;
    }
    let entries: Vec<&str> = text.split(',').map(str::trim).collect();
    match parse("words", text) {
        Ok(lists) => assert_eq!(lists.words, entries),
        Err(error) => assert!(entries.contains(&"") && !error.to_string().is_empty()),
    }
    let numbers: Result<Vec<i32>, _> = entries.iter().map(|entry| entry.parse()).collect();
    assert_eq!(parse("numbers", text).ok().map(|lists| lists.numbers), numbers.ok());
});
