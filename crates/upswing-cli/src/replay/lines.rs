//! Lines of a file that may be compressed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::failure::Failure;

/// Calls for each line with its number, from 1, without its end; what begins like gzip is decompressed. A failure of the
/// call gets the file and the line in front.
pub(crate) fn each(
    path: &Path,
    mut call: impl FnMut(usize, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(format!("cannot read {}: {error}", path.display())).hint("name a file that exists")
    };
    let mut input = BufReader::new(File::open(path).map_err(unreadable)?);
    let compressed = input.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
    let mut input: Box<dyn BufRead> =
        if compressed { Box::new(BufReader::new(MultiGzDecoder::new(input))) } else { Box::new(input) };
    let (mut line, mut number) = (String::new(), 0);
    loop {
        line.clear();
        number += 1;
        let located = |message: String| Failure::new(format!("{}, line {number}: {message}", path.display()));
        let read = input.read_line(&mut line).map_err(|e| located(format!("cannot be read: {e}")))?;
        if read == 0 {
            return Ok(());
        }
        call(number, line.trim_end_matches(['\n', '\r']))
            .map_err(|failure| failure.at(&format!("{}, line {number}", path.display())))?;
    }
}
