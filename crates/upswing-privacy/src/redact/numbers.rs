//! Groups of digits and the chains they form: `4111 1111 1111 1111` is one chain of four groups.
//!
//! Cards, phone numbers, IPv4 addresses and social security numbers are all windows of such a chain.

use std::ops::Range;

/// A run of digits: bytes of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Group {
    /// How many digits.
    pub(super) fn len(self) -> usize {
        self.end - self.start
    }

    /// The digits.
    pub(super) fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }

    /// The number, when it has at most nine digits.
    pub(super) fn value(self, text: &str) -> Option<u32> {
        (self.len() <= 9).then(|| self.of(text).bytes().fold(0, |n, b| n * 10 + u32::from(b - b'0')))
    }
}

/// All groups of a text, with where each chain ends.
pub(super) struct Numbers {
    groups: Vec<Group>,
    chains: Vec<Range<usize>>,
}

/// The longest that may stand between two groups of a number: ` - `, `) (`.
const LONGEST_GAP: usize = 3;

impl Numbers {
    /// Reads them.
    pub(super) fn read(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut groups, mut chains) = (Vec::<Group>::new(), Vec::<Range<usize>>::new());
        let mut at = 0;
        while let Some(offset) = bytes[at..].iter().position(u8::is_ascii_digit) {
            let start = at + offset;
            let end =
                bytes[start..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| start + n);
            let glued = groups.last().is_some_and(|last| is_gap(&bytes[last.end..start]));
            groups.push(Group { start, end });
            match chains.last_mut() {
                Some(chain) if glued => chain.end += 1,
                _ => chains.push(groups.len() - 1..groups.len()),
            }
            at = end;
        }
        Self { groups, chains }
    }

    /// Each chain.
    pub(super) fn chains(&self) -> impl Iterator<Item = &[Group]> {
        self.chains.iter().filter_map(|chain| self.groups.get(chain.clone()))
    }

    /// Each group.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether the text has no digit.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

fn is_gap(between: &[u8]) -> bool {
    between.len() <= LONGEST_GAP && between.iter().all(|b| b" -./()_".contains(b))
}

/// What stands between a group and the next of its chain.
pub(super) fn gap<'t>(text: &'t str, chain: &[Group], index: usize) -> &'t str {
    match (chain.get(index), chain.get(index + 1)) {
        (Some(left), Some(right)) => &text[left.end..right.start],
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_form_chains() {
        let read = |text| -> Vec<Vec<usize>> {
            Numbers::read(text).chains().map(|chain| chain.iter().map(|g| g.len()).collect()).collect()
        };
        assert_eq!(read("4111 1111-22"), [[4, 4, 2]]);
        assert_eq!(read("(415) 555 - 0132"), [[3, 3, 4]]);
        assert_eq!(read("1,000 at 14:30"), [[1], [3], [2], [2]]);
        assert!(read("none").is_empty());
    }
}
