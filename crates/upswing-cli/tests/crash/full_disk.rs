//! A disk that is full acknowledges nothing, and keeps what it has.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use crate::checks;
use crate::client::Answer;
use crate::journal::{Journal, Kind};
use crate::place::Place;
use crate::support::TURN;
use crate::table::Tally;

/// No file may grow beyond this; the error is the one of a disk that is full, only under another name.
const KIBIBYTES: usize = 4096;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let _turn = TURN.lock().await;
    let place = Place::sqlite().await;
    // Without the signal, a write beyond the limit fails like any other. The unit of `ulimit -f` is 512 bytes.
    let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", KIBIBYTES * 2);
    let server = place.serve_under(&["sh", "-c", &limit, env!("CARGO_BIN_EXE_upswing")]).await;
    let journal = Arc::new(Journal::new());
    let refusal = loop {
        let id = Uuid::now_v7();
        // Letters that no page can be compressed to, and nothing is taken out of.
        let letters =
            |id: Uuid| id.simple().to_string().bytes().map(|b| char::from(b'g' + b % 20)).collect::<String>();
        let text: String = (0..1500).map(|_| letters(Uuid::new_v4()) + " ").collect();
        let body = json!({
            "id": id, "agent_id": place.agents[0].id, "execution_id": Uuid::now_v7(),
            "feedback_type": "report_issue", "feedback_text": text,
        });
        journal.sent(Kind::Feedback, id, &body);
        match server.client.post(Kind::Feedback.path(), &body).await {
            Answer::Given { status: 201, .. } => journal.acknowledged(Kind::Feedback, id),
            Answer::Given { status, body, retry_after } => break (status, body, retry_after),
            Answer::Lost => panic!("the server ended:\n{}", place.log()),
        }
        let sent = journal.notes().order.len();
        assert!(sent * 50 < KIBIBYTES * 4, "{sent} pieces of 50 KiB fit into {KIBIBYTES} KiB");
    };
    assert_eq!((refusal.0, refusal.2), (503, true), "{}", refusal.1);
    assert!(journal.count(Kind::Feedback) > 10);
    server.kill().await;

    let server = place.serve().await;
    let mut tally = Tally::new("full disk");
    checks::compare(&server.client, &journal, Uuid::nil(), &mut tally).await;
    tally.assert_clean(&journal);
    let id = Uuid::now_v7();
    let body = json!({
        "id": id, "agent_id": place.agents[0].id, "execution_id": Uuid::now_v7(), "feedback_type": "thumbs_up",
    });
    server.client.expect("POST", Kind::Feedback.path(), Some(body)).await;
    server.stop().await;
}
