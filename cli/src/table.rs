use crate::escape;

/// Rows under headings, each column as wide as its widest cell.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    numbers: Vec<bool>,
}

impl Table {
    /// One with these headings; a heading that starts with `>` is over a column of numbers, to the right.
    pub fn new(headings: &[&str]) -> Self {
        let numbers = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let headings = headings.iter().map(|heading| heading.trim_start_matches('>').to_owned());
        Self { rows: vec![headings.collect()], numbers }
    }

    /// Adds a row with as many cells as there are headings; a cell stays on its line, whatever is in it.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into_iter().map(|cell| escape::line(&cell)).collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.numbers.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, &width), &number) in row.iter().zip(&widths).zip(&self.numbers) {
                let cell = if number { format!("{cell:>width$}  ") } else { format!("{cell:width$}  ") };
                line += &cell;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["NAME", ">SIZE"]);
        table.row(["é".to_owned(), "1".to_owned()]);
        table.row(["longer".to_owned(), "10".to_owned()]);
        assert_eq!(table.to_string(), "NAME    SIZE\né          1\nlonger    10\n");
    }

    #[test]
    fn a_cell_can_neither_drive_the_terminal_nor_make_a_row() {
        let mut table = Table::new(&["BY", ">SIZE"]);
        table.row(["\u{1b}[2J\nroot".to_owned(), "1".to_owned()]);
        assert_eq!(table.to_string(), "BY               SIZE\n\\u{1b}[2J\\nroot     1\n");
    }
}
