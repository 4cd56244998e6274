//! What `make crash` prints.

use std::sync::Mutex;
use std::time::Instant;

use crate::journal::{Journal, Kind};

/// What one test found; everything but the first line of numbers has to be 0.
#[derive(Clone)]
pub(crate) struct Tally {
    name: String,
    started: Instant,
    pub(crate) cycles: usize,
    /// Crashes that broke off or put off requests.
    pub(crate) under_load: usize,
    pub(crate) restored: usize,
    /// Acknowledged, but gone.
    pub(crate) lost: Vec<String>,
    pub(crate) twice: Vec<String>,
    /// There, but not as it was sent, or never sent at all.
    pub(crate) altered: Vec<String>,
    pub(crate) ledger: Vec<String>,
    pub(crate) rollups: Vec<String>,
    pub(crate) learner: Vec<String>,
}

static ROWS: Mutex<Vec<Vec<String>>> = Mutex::new(Vec::new());

const HEAD: [&str; 13] = [
    "what crashed",
    "cycles",
    "under load",
    "executions",
    "feedback",
    "lost",
    "twice",
    "altered",
    "ledger",
    "rollups",
    "learner",
    "restored",
    "elapsed",
];

impl Tally {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            started: Instant::now(),
            cycles: 0,
            under_load: 0,
            restored: 0,
            lost: Vec::new(),
            twice: Vec::new(),
            altered: Vec::new(),
            ledger: Vec::new(),
            rollups: Vec::new(),
            learner: Vec::new(),
        }
    }

    fn findings(&self) -> [(&'static str, &Vec<String>); 6] {
        [
            ("lost", &self.lost),
            ("twice", &self.twice),
            ("altered", &self.altered),
            ("ledger", &self.ledger),
            ("rollups", &self.rollups),
            ("learner", &self.learner),
        ]
    }

    /// Fails when anything was found so far.
    pub(crate) fn assert_clean(&self, journal: &Journal) {
        let mut found: Vec<String> = journal.notes().faults.iter().map(|f| format!("fault: {f}")).collect();
        for (name, findings) in self.findings() {
            found.extend(findings.iter().map(|finding| format!("{name}: {finding}")));
        }
        let count = found.len();
        found.truncate(20);
        assert!(count == 0, "{}, cycle {}: {count} findings\n{}", self.name, self.cycles, found.join("\n"));
    }

    /// Adds the row, and prints all there are.
    pub(crate) fn print(&self, journal: &Journal) {
        let mut row = vec![
            self.name.clone(),
            self.cycles.to_string(),
            self.under_load.to_string(),
            journal.count(Kind::Execution).to_string(),
            journal.count(Kind::Feedback).to_string(),
        ];
        row.extend(self.findings().iter().map(|(_, findings)| findings.len().to_string()));
        row.push(self.restored.to_string());
        row.push(format!("{} s", self.started.elapsed().as_secs()));
        let mut rows = ROWS.lock().unwrap();
        rows.push(row);
        let head: Vec<String> = HEAD.iter().map(|h| (*h).to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&head).chain(rows.iter()).collect();
        let widths: Vec<usize> =
            (0..HEAD.len()).map(|i| all.iter().map(|row| row[i].len()).max().unwrap_or_default()).collect();
        println!("\nAcknowledged executions and feedback, and what was found of them afterwards:\n");
        for row in all {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(
                    |(i, (cell, width))| {
                        if i == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                    },
                )
                .collect();
            println!("  {}", cells.join("  "));
        }
        println!();
    }
}
