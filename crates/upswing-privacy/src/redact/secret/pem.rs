//! Private keys in their armour (RFC 7468), also in one line with `\n` as two characters.

use std::ops::Range;

/// A search that looks for a missing end once.
#[derive(Default)]
pub(super) struct Search {
    no_end: bool,
    until: usize,
}

impl Search {
    /// The key that begins here.
    pub(super) fn read(&mut self, text: &str, start: usize) -> Option<Range<usize>> {
        // What lies inside of the last one was read with it.
        if start < self.until {
            return None;
        }
        let head_end = text[start..].char_indices().take(100).map(|(at, c)| at + c.len_utf8()).last()?;
        let head = &text[start..start + head_end];
        // The label ends with dashes; the ones it begins with are skipped.
        let label = head.trim_start_matches('-').split("--").next()?;
        if !label.to_ascii_uppercase().contains("PRIVATE KEY") || label.contains('\n') {
            return None;
        }
        let body = start + head_end.min(head.len() - head.trim_start_matches('-').len() + label.len());
        if !self.no_end {
            match memchr::memmem::find_iter(&text.as_bytes()[body..], "END ")
                .find(|at| text[body + at..].lines().next().is_some_and(|line| line.contains("PRIVATE KEY")))
            {
                Some(at) => {
                    let line = &text[body + at..];
                    let label = line.find("PRIVATE KEY").map_or(0, |at| at + "PRIVATE KEY".len());
                    let tail = &line[label..];
                    let tail = tail.strip_prefix(" BLOCK").map_or(0, |_| " BLOCK".len());
                    let dashes = line[label + tail..].bytes().take(5).take_while(|b| *b == b'-').count();
                    self.until = body + at + label + tail + dashes;
                    return Some(start..self.until);
                }
                None => self.no_end = true,
            }
        }
        // Cut off: what still looks like the body.
        let rest = &text[body..];
        let length =
            rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"+/=\n\r\\-:,".contains(b)).count();
        Some(start..body + rest[..length].trim_end().len())
    }
}
