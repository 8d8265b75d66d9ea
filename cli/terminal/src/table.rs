//! Aligned columns for people.

/// A column's side of alignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table with a heading line.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    /// Headings of groups, each with the number of rows before it.
    groups: Vec<(usize, String)>,
}

impl Table {
    /// A table with these columns; a name that starts with `>` is that of a column of numbers.
    pub fn new(columns: &[&str]) -> Self {
        let column = |name: &&str| match name.strip_prefix('>') {
            Some(name) => (name.to_owned(), Align::Right),
            None => ((*name).to_owned(), Align::Left),
        };
        Self { columns: columns.iter().map(column).collect(), rows: Vec::new(), groups: Vec::new() }
    }

    /// Adds a row; cells that are missing stay empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The rows from here on are a group of this name.
    pub fn group(&mut self, name: String) {
        self.groups.push((self.rows.len(), name));
    }

    /// The text, each line indented by `indent` spaces.
    pub fn render(&self, indent: usize) -> String {
        let empty = String::new();
        let heading: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&heading).chain(&self.rows).collect();
        let cell = |line: &Vec<String>, i: usize| line.get(i).unwrap_or(&empty).clone();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|i| lines.iter().map(|line| cell(line, i).chars().count()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        // Under a heading of a group, rows are indented; their first cells stand below the name of the column.
        let inner = if self.groups.is_empty() { "" } else { "  " };
        for (index, line) in lines.into_iter().enumerate() {
            if let Some((_, group)) = self.groups.iter().find(|(before, _)| index == before + 1) {
                out.push_str(&format!("{}{group}\n", " ".repeat(indent)));
            }
            let cells: Vec<String> = self
                .columns
                .iter()
                .enumerate()
                .map(|(i, (_, align))| {
                    let (text, width) = (cell(line, i), widths[i]);
                    match align {
                        Align::Left => format!("{text:<width$}"),
                        Align::Right => format!("{text:>width$}"),
                    }
                })
                .collect();
            out.push_str(format!("{}{inner}{}", " ".repeat(indent), cells.join("  ")).trim_end());
            out.push('\n');
        }
        out
    }
}

/// `303.5 M`, `2.7 G`: counts of parameters and operations.
pub fn count(n: u64) -> String {
    let n = n as f64;
    let (value, unit) = match n {
        n if n >= 1e12 => (n / 1e12, " T"),
        n if n >= 1e9 => (n / 1e9, " G"),
        n if n >= 1e6 => (n / 1e6, " M"),
        n if n >= 1e3 => (n / 1e3, " k"),
        n => return format!("{n}"),
    };
    if value >= 100.0 { format!("{value:.0}{unit}") } else { format!("{value:.1}{unit}") }
}

/// `1.2 GB`: bytes in decimal units.
pub fn bytes(n: u64) -> String {
    let text = count(n);
    if n < 1000 { format!("{text} B") } else { format!("{text}B") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_characters_not_bytes() {
        let mut table = Table::new(&["id", ">grid"]);
        table.row(["a".into(), "24×24".into()]);
        table.row(["long-name".into(), "6×6".into()]);
        assert_eq!(table.render(2), "  id          grid\n  a          24×24\n  long-name    6×6\n");
    }

    #[test]
    fn groups_have_headings() {
        let mut table = Table::new(&["id", ">px"]);
        for (group, ids) in [("a", &["x", "y"][..]), ("b", &["z"])] {
            table.group(group.into());
            ids.iter().for_each(|id| table.row([(*id).into(), "1".into()]));
        }
        assert_eq!(table.render(1), "   id  px\n a\n   x    1\n   y    1\n b\n   z    1\n");
    }

    #[test]
    fn magnitudes() {
        assert_eq!(count(303_500_000), "304 M");
        assert_eq!(count(1_136_500_000), "1.1 G");
        assert_eq!(count(999), "999");
        assert_eq!(bytes(4_000_000_000), "4.0 GB");
        assert_eq!(bytes(12), "12 B");
    }
}
