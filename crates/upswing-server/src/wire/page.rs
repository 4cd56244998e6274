//! Lists in pages.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::{Code, Problem};

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// How many, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub(crate) limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

impl PageParams {
    /// The checked limit.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(50) {
            limit @ 1..=200 => Ok(limit),
            limit => Err(Problem::new(
                Code::InvalidParameter,
                format!("limit is {limit}, but must be a whole number from 1 to 200"),
            )
            .about("limit")),
        }
    }

    /// The cursor, where it is a number.
    pub(crate) fn number(&self) -> Result<Option<i64>, Problem> {
        self.parsed()
    }

    /// The cursor as whatever the list counts by.
    pub(crate) fn parsed<T: std::str::FromStr>(&self) -> Result<Option<T>, Problem> {
        let Some(text) = &self.cursor else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Problem::new(Code::InvalidParameter, "the cursor is not one that this list gave out")
                .about("cursor")
        })
    }

    /// One page out of a list that stands in memory: what follows the item whose key is the cursor.
    pub(crate) fn of<T>(
        &self,
        items: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> Result<(Vec<T>, Option<String>), Problem> {
        let limit = self.limit()?;
        let start = match &self.cursor {
            None => 0,
            Some(cursor) => {
                let found = items.iter().position(|item| key(item) == *cursor);
                let unknown =
                    Problem::new(Code::InvalidParameter, "the cursor is not one that this list gave out");
                found.ok_or_else(|| unknown.about("cursor"))? + 1
            }
        };
        let more = items.len() > start + limit;
        let page: Vec<T> = items.into_iter().skip(start).take(limit).collect();
        let next = if more { page.last().map(key) } else { None };
        Ok((page, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap() {
        let mut params = PageParams { limit: Some(2), cursor: None };
        let mut seen = Vec::new();
        loop {
            let (page, next) = params.of(vec![1, 2, 3, 4, 5], i32::to_string).unwrap();
            seen.extend(page);
            match next {
                Some(cursor) => params.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
        params.limit = Some(0);
        assert_eq!(params.limit().unwrap_err().code, Code::InvalidParameter);
    }
}
