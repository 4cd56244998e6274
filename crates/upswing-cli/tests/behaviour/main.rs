//! The script for pages in a real browser: real keys, a real mouse and clipboard, tabs that are closed and killed, a
//! server that goes away. The page is of another origin than the server, and what arrived is read through the public API.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod chromium;
#[path = "../common/mod.rs"]
mod common;
mod site;
mod world;

use serde_json::{Value, json};
use site::Road;
use world::{ANSWER, Given, World, publishable};

/// An answer as an application would show it.
fn shown(given: &Given) -> String {
    format!(
        "<p id=answer data-upswing-token=\"{}\" data-upswing-session=s1 data-upswing-user=ada>{ANSWER}</p>",
        given.token
    )
}

/// Enough to have read `ANSWER`: the page says so itself, and it cannot be less than a second.
fn read_for(details: &Value) -> bool {
    details["total_read_time"].as_f64().is_some_and(|time| (1_000.0..600_000.0).contains(&time))
}

fn kinds(arrived: &[(String, Value)]) -> Vec<&str> {
    arrived.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[tokio::test]
async fn half_of_an_answer_is_copied() {
    let Some(mut world) = World::start("half_of_an_answer_is_copied").await else { return };
    let given = world.give().await;
    let tab = world.open(&format!("{}<textarea id=note></textarea>", shown(&given)));
    world.browser.select(&tab, "#answer", 21);
    world.browser.control(&tab, 'c');
    // The clipboard has it: it can be pasted.
    world.browser.click(&tab, "#note");
    world.browser.control(&tab, 'v');
    world.browser.until(&tab, &format!("document.querySelector('#note').value === '{}'", &ANSWER[..21]));
    world.until_arrived(1);
    world.until_sent(&tab);
    let arrived = world.arrived().await;
    let [(kind, copy)] = &arrived[..] else { panic!("{arrived:?}") };
    assert_eq!(kind, "copy");
    assert_eq!((&copy["copied_length"], &copy["answer_length"]), (&json!(21.0), &json!(42.0)), "{copy}");
    assert_eq!((&copy["count"], &copy["execution"]), (&json!(1), &json!(given.execution)));
    assert_eq!(copy["value"], 0.8, "0.6, and 0.4 of a half: {copy}");
    let stats = world.server().get(&format!("/api/learning/feedback/stats?agent_id={}", world.agent)).await;
    assert_eq!(stats["feedback_by_type"]["implicit"], 1, "{stats}");
    assert!(copy["author"].is_string() && copy["author"] != "ada", "people are pseudonyms: {copy}");
}

#[tokio::test]
async fn an_answer_is_edited_by_typing() {
    let Some(mut world) = World::start("an_answer_is_edited_by_typing").await else { return };
    let (draft, letter) = (world.give().await, world.give().await);
    let body = format!(
        "<div data-upswing-token=\"{}\"><textarea id=draft>{ANSWER}</textarea><input id=comment></div>\
         <p id=letter contenteditable data-upswing-edit-of=\"{}\">{ANSWER}</p>",
        draft.token, letter.token
    );
    let tab = world.open(&body);
    world.browser.click(&tab, "#draft");
    world.browser.evaluate(&tab, "document.querySelector('#draft').setSelectionRange(42, 42)");
    world.browser.type_text(&tab, " marzipan");
    // What is written into an empty field is not the answer.
    world.browser.click(&tab, "#comment");
    world.browser.type_text(&tab, "hushhush");
    world.browser.click(&tab, "#letter");
    world.browser.control(&tab, 'a');
    world.browser.type_text(&tab, "hushhush");
    // The application clears the field when it takes the text; that is nobody's edit.
    world.browser.evaluate(&tab, "document.querySelector('#letter').textContent = ''");
    world.browser.click(&tab, "#comment");
    world.until_arrived(2);
    let arrived = world.arrived().await;
    let [(first, added), (second, replaced)] = &arrived[..] else { panic!("{arrived:?}") };
    assert_eq!((first.as_str(), second.as_str()), ("edit", "edit"));
    // Nine letters more than forty-two, so nine of fifty-one.
    assert_eq!((&added["changed_share"], &added["keystrokes"]), (&json!(0.176), &json!(9)), "{added}");
    assert_eq!(added["execution"], draft.execution);
    // Levenshtein's distance between the two is 39, by another program.
    assert_eq!(replaced["changed_share"], 0.929, "{replaced}");
    assert_eq!((&replaced["keystrokes"], &replaced["execution"]), (&json!(8), &json!(letter.execution)));
}

#[tokio::test]
async fn another_answer_is_asked_for_twice() {
    let Some(mut world) = World::start("another_answer_is_asked_for_twice").await else { return };
    let (one, other) = (world.give().await, world.give().await);
    let body = format!(
        "<div data-upswing-token=\"{}\">{ANSWER}<button id=again data-upswing-regenerate><b>Again</b></button></div>\
         <button id=other data-upswing-regenerate-of=\"{}\">Other</button>",
        one.token, other.token
    );
    let tab = world.open(&body);
    world.browser.click(&tab, "#again");
    world.browser.click(&tab, "#again b");
    world.browser.click(&tab, "#other");
    // A script's click is nobody's.
    world.browser.evaluate(&tab, "document.querySelector('#again').click()");
    world.until_arrived(3);
    let arrived = world.arrived().await;
    let said: Vec<(&Value, &Value, &Value)> =
        arrived.iter().map(|(_, said)| (&said["count"], &said["execution"], &said["value"])).collect();
    let (one, other, zero) = (json!(one.execution), json!(other.execution), json!(0.0));
    let expected = [(&json!(1), &one, &zero), (&json!(2), &one, &zero), (&json!(1), &other, &zero)];
    assert_eq!(said, expected);
    assert_eq!(kinds(&arrived), ["regenerate"; 3]);
}

#[tokio::test]
async fn much_is_sent_in_batches_and_too_much_not_at_all() {
    let test = "much_is_sent_in_batches_and_too_much_not_at_all";
    let Some(mut world) = World::start(test).await else { return };
    let given = world.give().await;
    let tab = world.open(&format!("<button id=again data-upswing-regenerate-of=\"{}\">", given.token));
    for _ in 0..23 {
        world.browser.click(&tab, "#again");
    }
    world.until_arrived(20);
    world.until_sent(&tab);
    assert_eq!(kinds(&world.arrived().await), ["regenerate"; 20], "the server takes no more of a kind");
    let sent = world.sent();
    let sizes: Vec<usize> = sent
        .iter()
        .map(|exchange| serde_json::from_str::<Vec<Value>>(&exchange.body).unwrap().len())
        .collect();
    assert!(sizes.iter().all(|size| *size <= 10) && sizes.len() < 20, "{sizes:?}");
}

#[tokio::test]
async fn an_answer_is_read_and_the_tab_closed() {
    let Some(mut world) = World::start("an_answer_is_read_and_the_tab_closed").await else { return };
    let given = world.give().await;
    let tab = world.open(&shown(&given));
    world.until_read(&tab);
    world.let_road(Road::HoldsQuestions);
    world.browser.close(&tab);
    // The page is gone before the server has said whether it may send anything.
    world.browser.until_gone(&tab);
    world.let_road(Road::Open);
    world.until_arrived(1);
    let arrived = world.arrived().await;
    let [(kind, reading)] = &arrived[..] else { panic!("{arrived:?}") };
    assert_eq!((kind.as_str(), &reading["word_count"]), ("content_reading", &json!(5.0)));
    assert!(read_for(reading) && reading["scroll_depth"] == 1.0, "{reading}");
    assert_eq!(reading["execution"], given.execution);
    // Nothing comes a second time with the next page.
    let tab = world.open("<p>Nothing here</p>");
    world.until_sent(&tab);
    assert_eq!(kinds(&world.arrived().await), ["content_reading"]);
}

#[tokio::test]
async fn who_leaves_at_once_has_abandoned_it() {
    let Some(mut world) = World::start("who_leaves_at_once_has_abandoned_it").await else { return };
    let (given, below) = (world.give().await, world.give().await);
    let below =
        format!("<div style=\"height: 5000px\"></div><p data-upswing-token=\"{}\">x</p>", below.token);
    // A thousand words, of which nobody reads a third while a test runs.
    let long = "Quincequark ".repeat(1_000);
    let body = format!("<p id=answer data-upswing-token=\"{}\">{long}</p>{below}", given.token);
    let tab = world.open(&body);
    world.until_seen(&tab);
    let elsewhere = format!("{}/elsewhere", world.site.url);
    world.site.page("/elsewhere", "<link rel=icon href=data:,>".to_owned());
    world.let_road(Road::HoldsQuestions);
    world.browser.go(&tab, &elsewhere);
    // The page is gone before the server has said whether it may send anything.
    world.let_road(Road::Open);
    world.until_arrived(1);
    let arrived = world.arrived().await;
    // What nobody saw, nobody left.
    let [(kind, gone)] = &arrived[..] else { panic!("{arrived:?}") };
    assert_eq!((kind.as_str(), &gone["execution"]), ("abandon", &json!(given.execution)));
    let (time, depth) = (gone["dwell_time"].as_f64().unwrap(), gone["scroll_depth"].as_f64().unwrap());
    assert!((1.0..80_000.0).contains(&time) && (0.01..0.9).contains(&depth), "{gone}");
}

#[tokio::test]
async fn what_the_server_missed_comes_with_the_next_page() {
    let test = "what_the_server_missed_comes_with_the_next_page";
    let Some(mut world) = World::start(test).await else { return };
    let given = world.give().await;
    let tab = world.open(&format!(
        "{}<button id=again data-upswing-regenerate-of=\"{}\">",
        shown(&given),
        given.token
    ));
    let key = world.stop();
    world.browser.click(&tab, "#again");
    world.road.until("a signal that nobody takes", |exchanges| {
        exchanges.iter().any(|e| e.path == "/api/learning/signals" && e.status.is_none())
    });
    world.until_read(&tab);
    world.browser.close(&tab);
    world.start_again(key);
    assert_eq!(kinds(&world.arrived().await), [""; 0]);
    let tab = world.open("<p>Nothing here</p>");
    world.until_arrived(2);
    world.until_sent(&tab);
    let arrived = world.arrived().await;
    assert_eq!(kinds(&arrived), ["regenerate", "content_reading"]);
    assert!(read_for(&arrived[1].1), "{arrived:?}");
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_when_it_says() {
    let test = "a_server_that_is_busy_is_asked_again_when_it_says";
    let Some(mut world) = World::start(test).await else { return };
    let given = world.give().await;
    let tab = world.open(&format!("<button id=again data-upswing-regenerate-of=\"{}\">", given.token));
    world.let_road(Road::Busy);
    world.browser.click(&tab, "#again");
    world.road.until("503", |exchanges| exchanges.iter().any(|e| e.status == Some(503)));
    world.let_road(Road::Open);
    world.until_arrived(1);
    world.until_sent(&tab);
    assert_eq!(kinds(&world.arrived().await), ["regenerate"]);
}

#[tokio::test]
async fn an_answer_that_gets_lost_makes_no_second_signal() {
    let test = "an_answer_that_gets_lost_makes_no_second_signal";
    let Some(mut world) = World::start(test).await else { return };
    let given = world.give().await;
    let button = format!("<button id=again data-upswing-regenerate-of=\"{}\">", given.token);
    let tab = world.open(&button);
    world.let_road(Road::LosesAnswer);
    world.browser.click(&tab, "#again");
    world.road.until("a lost answer", |e| e.iter().any(|e| e.method == "POST" && e.status.is_none()));
    assert_eq!(kinds(&world.arrived().await), ["regenerate"], "it is stored, and the page does not know");
    world.browser.close(&tab);
    // The next page counts on from where this one was: the same answer is there again.
    let tab = world.open(&button);
    world.browser.click(&tab, "#again");
    world.until_arrived(2);
    world.until_sent(&tab);
    assert_eq!(kinds(&world.arrived().await), ["regenerate", "regenerate"]);
    // In another browser nothing is known of those two, and still a third is a third.
    world.browser.evaluate(&tab, "localStorage.clear()");
    world.browser.click(&tab, "#again");
    world.until_arrived(3);
    world.until_sent(&tab);
    assert_eq!(kinds(&world.arrived().await), ["regenerate"; 3]);
}

#[tokio::test]
async fn a_page_that_is_killed_is_told_of_by_the_next() {
    let Some(mut world) = World::start("a_page_that_is_killed_is_told_of_by_the_next").await else { return };
    let given = world.give().await;
    let tab = world.open(&shown(&given));
    world.until_read(&tab);
    world.browser.kill(&tab);
    let tab = world.open("<p>Nothing here</p>");
    world.until_arrived(1);
    world.until_sent(&tab);
    let arrived = world.arrived().await;
    assert_eq!(kinds(&arrived), ["content_reading"]);
    assert!(read_for(&arrived[0].1), "{arrived:?}");
}

/// Everything a person can do on a page with one answer.
fn use_it(world: &mut World, tab: &chromium::Tab) {
    world.browser.select(tab, "#answer", 11);
    world.browser.control(tab, 'c');
    world.browser.click(tab, "#draft");
    world.browser.type_text(tab, "marzipan");
    world.browser.click(tab, "#again");
}

fn everything(given: &Given) -> String {
    format!(
        "{}<textarea id=draft data-upswing-edit-of=\"{1}\">{ANSWER}</textarea>\
         <button id=again data-upswing-regenerate-of=\"{1}\">Again</button>",
        shown(given),
        given.token
    )
}

#[tokio::test]
async fn without_consent_nothing_is_stored_or_sent() {
    let Some(mut world) = World::start("without_consent_nothing_is_stored_or_sent").await else { return };
    let given = world.give().await;
    for attribute in ["", "data-consent=denied"] {
        let url = world.page(attribute, &everything(&given));
        let tab = world.browser.open(&url, "");
        use_it(&mut world, &tab);
        assert_eq!(world.stored(&tab), [""; 0], "with {attribute:?}");
        world.browser.close(&tab);
    }
    let url = world.page("", &everything(&given));
    let tab = world.browser.open(&url, "");
    use_it(&mut world, &tab);
    world.browser.evaluate(&tab, "upswing.consent(true)");
    world.browser.click(&tab, "#again");
    world.until_arrived(1);
    // One more, not three: what was done before is not told afterwards. And the pages before have not sent anything.
    let arrived = world.arrived().await;
    assert_eq!((kinds(&arrived), &arrived[0].1["count"]), (vec!["regenerate"], &json!(1)));
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn consent_that_is_withdrawn_empties_the_outbox() {
    let test = "consent_that_is_withdrawn_empties_the_outbox";
    let Some(mut world) = World::start(test).await else { return };
    let given = world.give().await;
    // The page asks a function here, as a consent manager would have it.
    let start = format!(
        "<script>window.agreed = true; upswing.start({{ key: '{}', consent: () => window.agreed }});</script>",
        world.key
    );
    let path = "/function";
    let head = format!(
        "<meta charset=utf-8><link rel=icon href=data:,><script src=\"{}/assets/behaviour.js\">",
        world.road.url
    );
    world.site.page(path, format!("{head}</script>{start}{}", everything(&given)));
    let url = format!("{}{path}", world.site.url);
    let tab = world.browser.open(&url, "");
    let key = world.stop();
    use_it(&mut world, &tab);
    world.until_seen(&tab);
    let stored = world.stored(&tab);
    assert!(stored.iter().filter(|name| name.contains(" signal:")).count() >= 3, "{stored:?}");
    world.browser.evaluate(&tab, "window.agreed = false");
    world.browser.until(&tab, "Object.keys(localStorage).length === 0");
    world.start_again(key);
    use_it(&mut world, &tab);
    assert_eq!(world.stored(&tab), [""; 0]);
    // Said so, it is withdrawn at once; and given again, only what follows is told.
    world.browser.evaluate(&tab, "upswing.consent(true)");
    world.browser.click(&tab, "#again");
    let left = world.browser.evaluate(&tab, "upswing.consent(false); Object.keys(localStorage).length");
    assert_eq!(left, 0);
    world.browser.evaluate(&tab, "upswing.consent(true)");
    world.browser.click(&tab, "#again");
    world.until_arrived(1);
    assert_eq!(kinds(&world.arrived().await), ["regenerate"]);
}

#[tokio::test]
async fn who_asks_not_to_be_tracked_is_not() {
    // The setting of the browser itself.
    let preferences = json!({ "enable_do_not_track": true });
    let test = "who_asks_not_to_be_tracked_is_not";
    let Some(mut world) = World::with(test, &preferences).await else { return };
    let given = world.give().await;
    let url = world.page("data-consent=granted", &everything(&given));
    let gpc = "Object.defineProperty(Navigator.prototype, 'doNotTrack', { get: () => null });\
               Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true });";
    for (before, asks) in [("", "navigator.doNotTrack === '1'"), (gpc, "navigator.globalPrivacyControl")] {
        let tab = world.browser.open(&url, before);
        assert_eq!(world.browser.evaluate(&tab, asks), true);
        world.browser.evaluate(&tab, "upswing.consent(true)");
        use_it(&mut world, &tab);
        assert_eq!(world.stored(&tab), [""; 0]);
        world.browser.close(&tab);
    }
    // Whoever asks for nothing: this signal arrives, and no other has been on the way before it.
    let asks_nothing = "Object.defineProperty(Navigator.prototype, 'doNotTrack', { get: () => null })";
    let tab = world.browser.open(&url, asks_nothing);
    world.browser.click(&tab, "#again");
    world.until_arrived(1);
    assert_eq!(kinds(&world.arrived().await), ["regenerate"]);
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn answers_that_come_later_are_noticed_and_missed() {
    let test = "answers_that_come_later_are_noticed_and_missed";
    let Some(mut world) = World::start(test).await else { return };
    let given = world.give().await;
    let tab = world.open("<main></main>");
    // As an answer is streamed: the element first, then its text, and the token at the end.
    let stream = format!(
        "const answer = document.createElement('p');
         answer.id = 'answer';
         document.querySelector('main').append(answer);
         requestAnimationFrame(() => {{
           answer.textContent = '{ANSWER}';
           requestAnimationFrame(() => answer.setAttribute('data-upswing-token', '{}'));
         }});",
        given.token
    );
    world.browser.evaluate(&tab, &stream);
    world.until_seen(&tab);
    world.browser.select(&tab, "#answer", 42);
    world.browser.control(&tab, 'c');
    // Drawn anew it is the same answer; taken away it has been left.
    world.browser.evaluate(&tab, "document.querySelector('main').innerHTML += ''");
    world.browser.control(&tab, 'a');
    world.browser.control(&tab, 'c');
    world.until_arrived(2);
    world.browser.evaluate(&tab, "document.querySelector('main').replaceChildren()");
    world.until_arrived(3);
    let arrived = world.arrived().await;
    // Whoever copied it did not abandon it; and it was left once.
    assert_eq!(kinds(&arrived), ["copy", "copy", "content_reading"]);
    assert_eq!(arrived[1].1["count"], 2);
    assert_eq!((&arrived[0].1["copied_length"], &arrived[0].1["value"]), (&json!(42.0), &json!(1.0)));
}

#[tokio::test]
async fn a_refused_key_is_not_tried_again() {
    let Some(mut world) = World::start("a_refused_key_is_not_tried_again").await else { return };
    let given = world.give().await;
    let good = world.key.clone();
    // A key for another site: the server says so, since it knows this origin from the other key.
    world.key = publishable(world.server(), "https://elsewhere.example").await;
    let tab = world.open(&everything(&given));
    use_it(&mut world, &tab);
    world.road.until("the refusal", |exchanges| exchanges.iter().any(|e| e.status == Some(403)));
    world.browser.until(&tab, "Object.keys(localStorage).length === 0");
    use_it(&mut world, &tab);
    assert_eq!(world.stored(&tab), [""; 0], "nothing is measured any more");
    world.browser.close(&tab);

    // A site that no key knows: the browser itself refuses, and does not say why.
    let stranger = site::Site::start();
    let script = format!(
        "<script src=\"{}/assets/behaviour.js\" data-key=\"{good}\" data-consent=granted></script>",
        world.road.url
    );
    stranger
        .page("/", format!("<meta charset=utf-8><link rel=icon href=data:,>{script}{}", everything(&given)));
    let tab = world.browser.open(&format!("{}/", stranger.url), "");
    use_it(&mut world, &tab);
    world.browser.until(&tab, "Object.keys(localStorage).length > 0");
    world.browser.until(&tab, "Object.keys(localStorage).length === 0");
    use_it(&mut world, &tab);
    assert_eq!(world.stored(&tab), [""; 0]);
    assert_eq!(world.sent().iter().filter(|e| e.status != Some(403)).count(), 0);
    assert_eq!(world.sent().len(), 1, "{:?}", world.sent());
    assert_eq!(kinds(&world.arrived().await), [""; 0]);
}

/// The example's own server; it is killed when dropped.
struct Example(std::process::Child);

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_example_says_how_its_answer_was_received() {
    let test = "the_example_says_how_its_answer_was_received";
    let quiet = || std::process::Stdio::null();
    let python = std::process::Command::new("python3").arg("--version").stdout(quiet()).status();
    if !python.is_ok_and(|status| status.success()) {
        return common::skip(&format!("behaviour::{test}"), "there is no python3");
    }
    let Some(mut world) = World::start(test).await else { return };
    // A key names its origin before the page is there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let origin = format!("http://127.0.0.1:{port}");
    let key = publishable(world.server(), &origin).await;
    let mut example = std::process::Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/browser/serve.py"))
        .env("UPSWING_URL", &world.road.url)
        .env("UPSWING_KEY", &world.server().key)
        .env("UPSWING_PAGE_KEY", key)
        .env("PORT", port.to_string())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(example.stdout.take().unwrap());
    let _example = Example(example);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    assert!(line.contains(&origin), "{line}");

    let tab = world.browser.open(&format!("{origin}/"), "");
    world.browser.click(&tab, "#agree");
    world.browser.select(&tab, "[data-upswing-text]", 30);
    world.browser.control(&tab, 'c');
    world.browser.click(&tab, "#note");
    world.browser.type_text(&tab, "hushhush");
    world.browser.click(&tab, "#agree + *, h1");
    world.browser.until(&tab, "document.querySelector('#said').textContent.includes('changed_share')");
    world.browser.click(&tab, "[data-upswing-regenerate]");
    // The page is gone with this; the next one is there.
    world.until_arrived(4);
    let arrived = world.arrived().await;
    let mut kinds = kinds(&arrived);
    kinds.sort_unstable();
    assert_eq!(kinds, ["content_reading", "copy", "edit", "regenerate"]);
}
