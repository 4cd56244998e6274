//! Files with one row a unit: CSV, a JSON array, or JSON lines.

use serde_json::{Map, Value};

use crate::failure::Failure;

/// What a file holds.
#[derive(Debug, PartialEq)]
pub(crate) enum File {
    /// One row a unit.
    Units(Table),
    /// One object an arm, with sums.
    Sums(Value),
}

/// Rows with named columns; all values as text, empty where there is none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// The columns' names.
    pub(crate) columns: Vec<String>,
    /// The rows.
    pub(crate) rows: Vec<Row>,
}

/// One row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its line in the file, counted from 1.
    pub(crate) line: usize,
    /// As many as there are columns.
    pub(crate) cells: Vec<String>,
}

const FORM: &str = "a CSV with a header such as 'arm,converted', one JSON object a line such as \
                    {\"arm\": \"control\", \"converted\": 1}, or sums: {\"arms\": [{\"name\": \"control\", \"n\": 1000, \
                    \"sum\": 200}, ...]}";

/// Reads a file of any of the forms.
pub(crate) fn read(text: &str) -> Result<File, Failure> {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.trim_start().chars().next();
    match first {
        None => Err(Failure::new("the file is empty").hint(FORM)),
        Some('{') => match serde_json::from_str::<Value>(text) {
            Ok(value) if value.get("arms").is_some() => Ok(File::Sums(value)),
            _ => objects(lines(text)?).map(File::Units),
        },
        Some('[') => {
            let values: Vec<Value> = serde_json::from_str(text)
                .map_err(|error| Failure::new(format!("line {}: {error}", error.line())).hint(FORM))?;
            objects((1..).zip(values).collect()).map(File::Units)
        }
        Some(_) => csv(text).map(File::Units),
    }
}

fn lines(text: &str) -> Result<Vec<(usize, Value)>, Failure> {
    let mut values = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let value = serde_json::from_str(line)
            .map_err(|error| Failure::new(format!("line {number}: not JSON: {error}")).hint(FORM))?;
        values.push((number, value));
    }
    Ok(values)
}

fn objects(values: Vec<(usize, Value)>) -> Result<Table, Failure> {
    let mut table = Table::default();
    let mut objects: Vec<(usize, Map<String, Value>)> = Vec::with_capacity(values.len());
    for (line, value) in values {
        let Value::Object(object) = value else {
            return Err(Failure::new(format!("line {line}: not an object")).hint(FORM));
        };
        for key in object.keys() {
            if !table.columns.contains(key) {
                table.columns.push(key.clone());
            }
        }
        objects.push((line, object));
    }
    for (line, object) in objects {
        let cell = |column: &String| match object.get(column) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::Bool(flag)) => Ok(u8::from(*flag).to_string()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(Failure::new(format!(
                "line {line}, column '{column}': neither a number nor a text nor a flag"
            ))),
        };
        let cells = table.columns.iter().map(cell).collect::<Result<_, _>>()?;
        table.rows.push(Row { line, cells });
    }
    Ok(table)
}

/// Comma, semicolon or tab, by what the header has most of; quotes as in RFC 4180.
fn csv(text: &str) -> Result<Table, Failure> {
    let header = text.lines().next().unwrap_or_default();
    let count = |c: char| header.matches(c).count();
    let separator = [',', ';', '\t'].into_iter().max_by_key(|c| (count(*c), *c == ',')).unwrap_or(',');
    let mut records = records(text, separator)?.into_iter();
    let columns: Vec<String> =
        records.next().map(|row| row.cells.iter().map(|c| c.trim().to_owned()).collect()).unwrap_or_default();
    if let Some(twice) =
        columns.iter().enumerate().find(|(i, name)| columns.iter().take(*i).any(|other| other == *name))
    {
        return Err(Failure::new(format!("line 1: two columns are called '{}'", twice.1)));
    }
    let mut table = Table { columns, rows: Vec::new() };
    for row in records {
        if row.cells.len() != table.columns.len() {
            return Err(Failure::new(format!(
                "line {}: {} values, but the header has {} columns",
                row.line,
                row.cells.len(),
                table.columns.len()
            ))
            .hint("give every row a value for each column, empty where there is none"));
        }
        table.rows.push(row);
    }
    Ok(table)
}

fn records(text: &str, separator: char) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let mut row = Row { line: 1, cells: Vec::new() };
    let (mut cell, mut line) = (String::new(), 1);
    let mut characters = text.chars().peekable();
    // The line on which a quoted value began.
    let mut quoted: Option<usize> = None;
    while let Some(c) = characters.next() {
        if c == '\n' {
            line += 1;
        }
        match (c, quoted) {
            ('"', Some(_)) if characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            ('"', Some(_)) => quoted = None,
            (c, Some(_)) => cell.push(c),
            ('"', None) if cell.trim().is_empty() => {
                cell.clear();
                quoted = Some(line);
            }
            ('\r', None) => {}
            ('\n', None) => {
                end(&mut rows, &mut row, &mut cell, line);
            }
            (c, None) if c == separator => row.cells.push(std::mem::take(&mut cell)),
            (c, None) => cell.push(c),
        }
    }
    if let Some(began) = quoted {
        return Err(Failure::new(format!("line {began}: a quote is not closed")));
    }
    end(&mut rows, &mut row, &mut cell, line);
    Ok(rows)
}

/// Ends a row; empty lines are passed over.
fn end(rows: &mut Vec<Row>, row: &mut Row, cell: &mut String, next_line: usize) {
    row.cells.push(std::mem::take(cell));
    let done = std::mem::replace(row, Row { line: next_line, cells: Vec::new() });
    if done.cells.len() > 1 || done.cells.iter().any(|cell| !cell.trim().is_empty()) {
        rows.push(done);
    }
}

impl Table {
    /// The column of this name.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

impl Row {
    /// The text of a column without the blanks around it.
    pub(crate) fn text(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", |cell| cell.trim())
    }

    /// The number of a column; `None` where there is nothing.
    pub(crate) fn number(&self, column: usize, name: &str) -> Result<Option<f64>, Failure> {
        let text = self.text(column);
        let number = match text {
            "" => return Ok(None),
            "true" | "True" | "TRUE" => 1.0,
            "false" | "False" | "FALSE" => 0.0,
            text => text.parse::<f64>().unwrap_or(f64::NAN),
        };
        if number.is_finite() && number.abs() <= 1e12 {
            return Ok(Some(number));
        }
        Err(Failure::new(format!(
            "line {}, column '{name}': '{text}' is not a number from -10^12 to 10^12",
            self.line
        ))
        .hint("leave the value empty where nothing is known"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str) -> Table {
        match read(text).unwrap() {
            File::Units(table) => table,
            File::Sums(value) => panic!("{value}"),
        }
    }

    #[test]
    fn the_forms_say_the_same() {
        let expected = units("arm,y\r\na,1\r\nb,0\r\n");
        assert_eq!(expected.columns, ["arm", "y"]);
        assert_eq!(expected.rows[1].cells, ["b", "0"]);
        assert_eq!(expected.rows[1].line, 3);
        let cells = |table: Table| table.rows.into_iter().map(|row| row.cells).collect::<Vec<_>>();
        let expected = cells(expected);
        for text in [
            "arm;y\na;1\nb;0",
            "arm\ty\na\t1\n\nb\t0\n",
            "\"arm\",\"y\"\n\"a\",1\n\"b\",\"0\"\n",
            "{\"arm\": \"a\", \"y\": 1}\n{\"arm\": \"b\", \"y\": false}\n",
            "[{\"arm\": \"a\", \"y\": true}, {\"y\": 0, \"arm\": \"b\"}]",
        ] {
            assert_eq!(cells(units(text)), expected, "{text}");
        }
        assert!(matches!(read("{\"arms\": []}"), Ok(File::Sums(_))));
        let quoted = units("arm,note\n\"a, b\",\"say \"\"no\"\"\nplease\"\n");
        assert_eq!(quoted.rows[0].cells, ["a, b", "say \"no\"\nplease"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            ("", "empty"),
            ("arm,y\na,1\nb\n", "line 3: 1 values, but the header has 2"),
            ("arm,arm\n", "two columns"),
            ("arm,y\n\"a,1\n", "line 2: a quote"),
            ("{\"arm\": 1}\n{\"arm\": \n", "line 2: not JSON"),
            ("{\"arm\": [1]}\n", "column 'arm'"),
            ("[1]", "line 1: not an object"),
        ] {
            let complaint = read(text).unwrap_err().to_string();
            assert!(complaint.contains(expected), "{complaint}");
        }
        let row = Row { line: 7, cells: vec!["x".to_owned(), " 2.5 ".to_owned(), String::new()] };
        assert!(row.number(0, "y").unwrap_err().to_string().contains("line 7, column 'y': 'x'"));
        assert_eq!((row.number(1, "y"), row.number(2, "y")), (Ok(Some(2.5)), Ok(None)));
    }
}
