//! Walking the chain of an audit log: whether it still is what was written, and the first place where it is not.

use upswing_domain::OrganisationId;

use super::audit_chain::{COLUMNS, GENESIS, Line, Link};
use crate::engine::Connection;
use crate::{AuditSeal, StoreError};

/// How many lines are read at once.
const PAGE: i64 = 1000;
/// Among how many lines after the first broken one its place is looked for, where two have changed places.
const NEIGHBOURS: i64 = 10_000;

/// A line's place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// The line.
    pub sequence: i64,
    /// Its value: with it, who kept it elsewhere can tell later whether everything up to this line still stands.
    pub hash: [u8; 32],
}

/// What is wrong with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditFault {
    /// The line is not what was written, or not where it was.
    Edited,
    /// Lines are missing, of which this is the first.
    Deleted,
    /// The line has changed places with another one.
    Swapped {
        /// The other one.
        with: i64,
    },
    /// The log ends before this line, which was written.
    Cut,
    /// The line carries no value: it was taken away, or, where no line of the log has one, the log is older than the chain.
    Unchained,
    /// The line's value was made with a key that the master key does not have.
    KeyUnknown {
        /// The key's id.
        key: u16,
    },
    /// The head that was kept elsewhere is not in this log: lines were cut off and others written, or it is another log's.
    HeadMissing,
}

/// The first place where a log is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditBreak {
    /// The line. For a cut, the first that is missing.
    pub sequence: i64,
    /// What is wrong with it.
    pub fault: AuditFault,
}

/// What a walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditVerdict {
    /// How many lines were found to be as they were written.
    pub chained: i64,
    /// How many lines are from before the chain, of which nothing can be said.
    pub unchained: i64,
    /// The last line that is as it was written.
    pub head: Option<AuditHead>,
    /// The line whose value was kept elsewhere, where one was asked for and found.
    pub expected_at: Option<i64>,
    /// The first line that is not as it was written; `None` when all are.
    pub broken: Option<AuditBreak>,
}

pub(crate) async fn verify(
    connection: &mut Connection,
    organisation: OrganisationId,
    seal: &AuditSeal,
    expected: Option<Link>,
) -> Result<AuditVerdict, StoreError> {
    // Read before the lines: whatever is written meanwhile, so many must be there.
    let written = written(connection, organisation).await?;
    let mut walk = Walk { organisation, seal, expected, last: 0, verdict: AuditVerdict::none() };
    'walk: loop {
        let page = lines(connection, organisation, walk.last, PAGE).await?;
        let more = i64::try_from(page.len()).is_ok_and(|length| length == PAGE);
        for line in page {
            if !walk.step(&line) {
                break 'walk;
            }
        }
        if !more {
            break;
        }
    }
    let Walk { last, mut verdict, .. } = walk;
    match verdict.broken {
        Some(AuditBreak { sequence, fault: AuditFault::Edited }) => {
            let previous = verdict.head.map_or(GENESIS, |head| head.hash);
            let rest = lines(connection, organisation, sequence - 1, NEIGHBOURS).await?;
            if let Some(with) = partner(organisation, seal, &previous, &rest) {
                verdict.broken = Some(AuditBreak { sequence, fault: AuditFault::Swapped { with } });
            }
        }
        Some(_) => {}
        None if last < written => {
            verdict.broken = Some(AuditBreak { sequence: last + 1, fault: AuditFault::Cut });
        }
        None if verdict.head.is_none() && last > 0 => {
            verdict.broken = Some(AuditBreak { sequence: 1, fault: AuditFault::Unchained });
        }
        None if expected.is_some() && verdict.expected_at.is_none() => {
            verdict.broken = Some(AuditBreak { sequence: last + 1, fault: AuditFault::HeadMissing });
        }
        None => {}
    }
    Ok(verdict)
}

/// How many changes the organisation counts: each wrote one line.
async fn written(connection: &mut Connection, organisation: OrganisationId) -> Result<i64, StoreError> {
    let sql = "SELECT revision FROM organisation WHERE id = $1";
    let row = connection.query_one(sql, vec![organisation.into()]).await?;
    row.ok_or_else(|| StoreError::NotFound { noun: "organisation", id: organisation.to_string() })?.take()
}

/// Lines after a number, in order.
async fn lines(
    connection: &mut Connection,
    organisation: OrganisationId,
    after: i64,
    limit: i64,
) -> Result<Vec<Line>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_entry WHERE organisation = $1 AND sequence > $2 ORDER BY sequence LIMIT $3"
    );
    let parameters = vec![organisation.into(), after.into(), limit.into()];
    connection.query(&sql, parameters).await?.into_iter().map(Line::read).collect()
}

struct Walk<'a> {
    organisation: OrganisationId,
    seal: &'a AuditSeal,
    expected: Option<Link>,
    last: i64,
    verdict: AuditVerdict,
}

impl Walk<'_> {
    /// Takes the next line; false when it is not what was written.
    fn step(&mut self, line: &Line) -> bool {
        let fault = if line.sequence == self.last + 1 { self.judge(line) } else { Some(AuditFault::Deleted) };
        if let Some(fault) = fault {
            self.verdict.broken = Some(AuditBreak { sequence: self.last + 1, fault });
            return false;
        }
        self.last = line.sequence;
        match line.link {
            Some((_, hash)) => {
                self.verdict.chained += 1;
                self.verdict.head = Some(AuditHead { sequence: line.sequence, hash });
                if self.expected == Some(hash) {
                    self.verdict.expected_at = Some(line.sequence);
                }
            }
            None => self.verdict.unchained += 1,
        }
        true
    }

    fn judge(&self, line: &Line) -> Option<AuditFault> {
        let Some((key, link)) = line.link else {
            return self.verdict.head.is_some().then_some(AuditFault::Unchained);
        };
        let previous = self.verdict.head.map_or(GENESIS, |head| head.hash);
        match line.content.link(self.seal, self.organisation, Some(key), &previous, line.sequence) {
            None => Some(AuditFault::KeyUnknown { key }),
            Some((_, found)) => (found != link).then_some(AuditFault::Edited),
        }
    }
}

impl AuditVerdict {
    fn none() -> Self {
        Self { chained: 0, unchained: 0, head: None, expected_at: None, broken: None }
    }
}

/// The line with which the first of `rest` has changed places: back in their places, the first one is what was written,
/// and the other one is what it was. O(lines).
fn partner(organisation: OrganisationId, seal: &AuditSeal, previous: &Link, rest: &[Line]) -> Option<i64> {
    let (first, others) = rest.split_first()?;
    let holds = |line: &Line, link: Option<(u16, Link)>, previous: &Link, sequence: i64| {
        link.is_some_and(|(key, link)| {
            line.content
                .link(seal, organisation, Some(key), previous, sequence)
                .is_some_and(|(_, found)| found == link)
        })
    };
    others.iter().enumerate().find_map(|(index, other)| {
        // With their values, or without them.
        let moved = [(other.link, first.link), (first.link, other.link)];
        let swapped = moved.into_iter().any(|(here, there)| {
            let before = match index.checked_sub(1).and_then(|before| others.get(before)) {
                Some(line) => line.link,
                None => here,
            };
            holds(other, here, previous, first.sequence)
                && before.is_some_and(|(_, before)| holds(first, there, &before, other.sequence))
        });
        swapped.then_some(other.sequence)
    })
}
