//! Tables of texts.

use std::io::{self, Write};

use everloop_proto::timeline::one_line;

/// Rows with aligned columns. The last column may have any width.
pub(crate) struct Table<const COLUMNS: usize> {
    widths: [usize; COLUMNS],
    indent: &'static str,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(indent: &'static str) -> Self {
        Self { widths: [0; COLUMNS], indent }
    }

    /// Prints more rows, aligned with earlier ones where possible.
    pub(crate) fn print(&mut self, rows: &[[String; COLUMNS]], out: &mut impl Write) -> io::Result<()> {
        let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| one_line(cell))).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &rows {
            let cells = row.iter().zip(self.widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(out, "{}{}", self.indent, line.trim_end())?;
        }
        Ok(())
    }
}

/// Prints named facts, one per line. Empty facts are omitted.
pub(crate) fn facts(facts: &[(&str, String)], out: &mut impl Write) -> io::Result<()> {
    let told = facts.iter().filter(|(_, value)| !value.is_empty());
    let rows: Vec<_> = told.map(|(name, value)| [(*name).to_owned(), value.clone()]).collect();
    Table::new("").print(&rows, out)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn rows_printed_later_keep_the_columns_and_cells_are_one_line() {
        let mut out = Vec::new();
        let row = |one: &str, two: &str, three: &str| [one, two, three].map(str::to_owned);
        let mut table = Table::new("  ");
        table.print(&[row("Status", "Id", "Type"), row("Running", "é-1", "Buy")], &mut out).unwrap();
        table.print(&[row("Failed", "a\nb\u{1b}[31m", ""), row("", "c", "Sell")], &mut out).unwrap();
        // The first line keeps the indentation of the others.
        expect![[r#"
            table
              Status   Id   Type
              Running  é-1  Buy
              Failed   a\nb\u{1b}[31m
                       c               Sell
        "#]]
        .assert_eq(&format!("table\n{}", String::from_utf8(out).unwrap()));
    }

    #[test]
    fn empty_facts_are_omitted() {
        let mut out = Vec::new();
        let told = [("WorkflowId", "a".to_owned()), ("Memo", String::new()), ("Type", "Buy".to_owned())];
        facts(&told, &mut out).unwrap();
        expect![[r#"
            WorkflowId  a
            Type        Buy
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }
}
