//! Every JSON body that the five requirement documents print, by name: what belongs to collecting is taken as printed and
//! comes back whole; a wrong variant of each is refused. The documents are read, not copied: a body more or less fails.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, World, on_both, skipped};

const DOCUMENTS: [&str; 5] = [
    "ghost-job-detector-realtime-learning.md",
    "prisma-glow-agent-learning-system.md",
    "prompt-enhancement-learning-system.md",
    "recruitly-learning-strategy.md",
    "tonys-toolbox-continuous-learning.md",
];

/// A JSON text in a document.
#[derive(Debug, PartialEq)]
struct Printed {
    document: &'static str,
    /// The heading above it, and whether it is an answer.
    name: String,
    body: Value,
}

/// What the documents print as JSON, in order. Each is dealt with here, or named with the part of Upswing it belongs to.
const EXPECTED: [(&str, &str, &str); 14] = [
    ("prisma", "Submit Feedback", "here"),
    ("prisma", "Get Feedback Stats: answer", "here"),
    ("prisma", "Get Annotation Queue: answer", "annotation"),
    ("prisma", "Submit Annotation", "annotation"),
    ("prisma", "Create Training Run", "training"),
    ("prisma", "List Training Runs: answer", "training"),
    ("prisma", "Create Experiment", "experiments"),
    ("prisma", "Start Experiment: answer", "experiments"),
    ("prompt", "User Interaction Capture", "here"),
    ("prompt", "Performance Data", "here"),
    ("prompt", "Outcome Data", "here"),
    ("prompt", "Learning System Settings", "configuration"),
    ("prompt", "Custom Learning Strategies", "configuration"),
    ("recruitly", "1. **Optimization Metrics**", "here"),
];

fn requirements() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/requirements");
    folder.is_dir().then_some(folder)
}

fn printed(document: &'static str, text: &str) -> Vec<Printed> {
    let mut found = Vec::new();
    let (mut heading, mut block): (String, Option<Vec<&str>>) = (String::new(), None);
    for line in text.lines() {
        match &mut block {
            None if line.starts_with('#') => line.trim_start_matches('#').trim().clone_into(&mut heading),
            None if line == "```json" || line == "```http" => block = Some(Vec::new()),
            None => {}
            Some(lines) if line == "```" => {
                let text = lines.join("\n");
                let (question, answer) = text.split_once("Response:").unwrap_or((&text, ""));
                for (part, kind) in [(question, ""), (answer, ": answer")] {
                    if let Some(start) =
                        part.find('{').filter(|at| !part[..*at].contains("/{") && !part[..*at].ends_with('/'))
                    {
                        let body =
                            serde_json::from_str(&part[start..]).unwrap_or_else(|e| panic!("{heading}: {e}"));
                        found.push(Printed { document, name: format!("{heading}{kind}"), body });
                    }
                }
                block = None;
            }
            Some(lines) => lines.push(line),
        }
    }
    found
}

fn all() -> Option<Vec<Printed>> {
    let folder = requirements()?;
    let texts = DOCUMENTS.map(|document| (document, std::fs::read_to_string(folder.join(document)).unwrap()));
    Some(texts.iter().flat_map(|(document, text)| printed(document, text)).collect())
}

fn body(all: &[Printed], name: &str) -> Value {
    all.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("{name} is not printed")).body.clone()
}

const SKIP: &str = "there is no shared data: ../shared/requirements, beside this checkout, does not exist";

#[test]
fn every_body_that_is_printed_is_listed_by_name() {
    let Some(all) = all() else { return skipped("every_body_that_is_printed_is_listed_by_name", SKIP) };
    let found: Vec<_> =
        all.iter().map(|p| (p.document.split('-').next().unwrap(), p.name.as_str())).collect();
    let expected: Vec<_> = EXPECTED.iter().map(|(document, name, _)| (*document, *name)).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_printed_feedback_is_taken_and_comes_back_whole() {
    let name = "the_printed_feedback_is_taken_and_comes_back_whole";
    let Some(all) = all() else { return skipped(name, SKIP) };
    on_both(name, async |world| {
        let execution = run(world).await;
        let mut given = body(&all, "Submit Feedback");
        // Placeholders: "uuid" twice.
        given["execution_id"] = json!(execution);
        given["agent_id"] = json!(world.agent);
        let stored = world.post("/api/learning/feedback", &given).await.expect(201);
        let id = stored["id"].as_str().unwrap();
        let kept = world.get(&format!("/api/learning/feedback/{id}")).await.expect(200);
        for (field, value) in given.as_object().unwrap() {
            assert_eq!(&kept[field], value, "{field}");
        }
        for (field, wrong) in [
            ("rating", json!(6)),
            ("rating", json!("2")),
            ("feedback_type", json!("shrug")),
            ("dimensions", json!({"accuracy": 0})),
            ("dimensions", json!({"wit": 2})),
            ("issue_categories", json!("incorrect")),
            ("agent_id", json!("uuid")),
            ("correction_text", json!(7)),
            ("surprise", json!(1)),
        ] {
            let mut variant = given.clone();
            variant[field] = wrong;
            let answer = world.post("/api/learning/feedback", &variant).await;
            assert_eq!(answer.status, 422, "{field}: {}", answer.text);
        }
        let mut incomplete = given.clone();
        incomplete.as_object_mut().unwrap().remove("correction_text");
        world.post("/api/learning/feedback", &incomplete).await.problem(422, "value_out_of_range");

        let stats = format!("/api/learning/feedback/stats?agent_id={}&days=30", world.agent);
        let stats = world.get(&stats).await.expect(200);
        let printed = body(&all, "Get Feedback Stats: answer");
        for field in printed.as_object().unwrap().keys() {
            assert!(!stats[field].is_null(), "{field} is missing: {stats}");
        }
        assert_eq!(stats["feedback_by_type"], json!({"correction": 1}));
    })
    .await;
}

#[tokio::test]
async fn the_printed_records_are_taken_and_come_back_whole() {
    let name = "the_printed_records_are_taken_and_come_back_whole";
    let Some(all) = all() else { return skipped(name, SKIP) };
    on_both(name, async |world| {
        let execution = run(world).await;
        let about = format!("?execution_id={execution}");
        // kind, heading, the placeholder in it, what its address needs
        let records = [
            ("optimization", "1. **Optimization Metrics**", Some("optimization_id"), ""),
            ("interaction", "User Interaction Capture", Some("interaction_id"), ""),
            ("performance", "Performance Data", None, about.as_str()),
            ("outcome", "Outcome Data", None, about.as_str()),
        ];
        for (kind, heading, placeholder, more) in records {
            let mut given = body(&all, heading);
            if let Some(field) = placeholder {
                assert!(given[field].as_str().unwrap().starts_with("uuid"), "{heading} holds a placeholder");
                given[field] = json!(Uuid::now_v7());
            }
            let path = format!("/api/learning/records/{kind}{more}");
            let stored = world.post(&path, &given).await.expect(201);
            let again = world.post(&path, &given).await.expect(200);
            assert_eq!((&again["id"], &again["status"]), (&stored["id"], &json!("duplicate")));
            let id = stored["id"].as_str().unwrap();
            let kept = world.get(&format!("/api/learning/records/{kind}/{id}")).await.expect(200);
            let mut whole = kept["record"].clone();
            if let Some(person) = whole.get_mut("user_id") {
                // Who it was stands as a keyed hash, and the hash is what `subject` has.
                let run = world.get(&format!("/api/learning/executions/{id}")).await.expect(200);
                assert_eq!(*person, run["subject"]);
                *person = given["user_id"].clone();
            }
            assert_eq!(whole, given, "{kind}");
            let hidden = world.request(Method::GET, &format!("/api/learning/records/{kind}/{id}"));
            let hidden = Answer::of(hidden.bearer_auth(&world.member)).await.expect(200);
            assert!(hidden["record"].is_null(), "content is for experts: {hidden}");

            // What is wrong with each of them: a number where none may be, a type, a missing part.
            for (pointer, wrong) in wrong(kind) {
                let mut variant = given.clone();
                match variant.pointer_mut(pointer) {
                    Some(place) => *place = wrong.clone(),
                    None => panic!("{kind} has no {pointer}"),
                }
                if let Some(field) = placeholder.filter(|field| *pointer != format!("/{field}")) {
                    variant[field] = json!(Uuid::now_v7());
                }
                let answer = world.post(&path, &variant).await;
                assert_eq!(answer.status, 422, "{kind} {pointer}: {}", answer.text);
            }
        }
        let nowhere = body(&all, "Outcome Data");
        let answer = world.post("/api/learning/records/outcome", &nowhere).await;
        assert_eq!(answer.problem(422, "invalid_parameter")["field"], "execution_id");
    })
    .await;
}

fn wrong(kind: &str) -> &'static [(&'static str, Value)] {
    use std::sync::LazyLock;
    type Cases = LazyLock<Vec<(&'static str, Value)>>;
    static OPTIMIZATION: Cases = LazyLock::new(|| {
        vec![
            ("/optimization_id", json!("seven")),
            ("/timestamp", json!("yesterday")),
            ("/optimization_result/stage3_validation/overall_score", json!(11)),
            ("/optimization_result/cost", json!(-1)),
            ("/optimization_result", json!("text")),
            ("/user_feedback/rating", json!(9)),
            ("/user_feedback/accepted_changes", json!(1.5)),
            ("/user_feedback/callback_improvement", json!("yes")),
            ("/input_resume", json!("a text")),
        ]
    });
    static INTERACTION: Cases = LazyLock::new(|| {
        vec![
            ("/interaction_id", json!(7)),
            ("/input_data/raw_prompt", json!(null)),
            ("/input_data/complexity_score", json!(99)),
            ("/input_data/token_count", json!(-3)),
            ("/enhancement_data/enhancement_time_ms", json!("45")),
        ]
    });
    static PERFORMANCE: Cases = LazyLock::new(|| {
        vec![
            ("/performance_metrics", json!([])),
            ("/performance_metrics", json!({})),
            ("/performance_metrics/total_processing_time_ms", json!(-1)),
        ]
    });
    static OUTCOME: Cases = LazyLock::new(|| {
        vec![
            ("/outcome_data/response_quality_score", json!(10.5)),
            ("/outcome_data/quality_metrics/accuracy", json!(2)),
            ("/outcome_data/user_satisfaction_rating", json!("nine")),
            ("/outcome_data/feedback_data/implicit_feedback/copy_action_count", json!(-1)),
        ]
    });
    match kind {
        "optimization" => &OPTIMIZATION,
        "interaction" => &INTERACTION,
        "performance" => &PERFORMANCE,
        _ => &OUTCOME,
    }
}

#[tokio::test]
async fn a_record_becomes_an_execution_and_its_feedback() {
    let name = "a_record_becomes_an_execution_and_its_feedback";
    let Some(all) = all() else { return skipped(name, SKIP) };
    on_both(name, async |world| {
        let mut given = body(&all, "1. **Optimization Metrics**");
        let id = Uuid::now_v7().to_string();
        given["optimization_id"] = json!(id);
        let stored = world.post("/api/learning/records/optimization", &given).await.expect(201);
        let run = world.get(&format!("/api/learning/executions/{id}")).await.expect(200);
        assert_eq!(run["context"], json!({"industry": "tech", "keywords": 3.0, "level": "senior"}));
        assert_eq!(run["metrics"]["latency_ms"], 12_300.0);
        assert_eq!(run["metrics"]["overall_score"], 8.5);
        assert_eq!(run["output"], "Rewritten content");
        // Four stars of five.
        assert_eq!(run["reward"], 0.75);
        let said = stored["feedback_id"].as_str().unwrap();
        let said = world.get(&format!("/api/learning/feedback/{said}")).await.expect(200);
        assert_eq!(said["metrics"], json!({"accepted_changes": 0.85, "callback_improvement": 1.0}));
        assert_eq!(said["feedback_text"], given["user_feedback"]["comments"]);
    })
    .await;
}

/// The documented table of optimisations has hashes of what went in, of 64 characters.
#[tokio::test]
async fn inputs_are_kept_as_hashes_beside_their_features() {
    let name = "inputs_are_kept_as_hashes_beside_their_features";
    let Some(all) = all() else { return skipped(name, SKIP) };
    on_both(name, async |world| {
        let send = async |change: &dyn Fn(&mut Value)| {
            let mut given = body(&all, "1. **Optimization Metrics**");
            given["optimization_id"] = json!(Uuid::now_v7());
            change(&mut given);
            let stored = world.post("/api/learning/records/optimization", &given).await.expect(201);
            let path = format!("/api/learning/records/optimization/{}", stored["id"].as_str().unwrap());
            let kept = world.get(&path).await.expect(200);
            for field in ["input_resume_hash", "job_description_hash"] {
                assert_eq!(kept[field], stored[field], "{field}");
            }
            (given, kept)
        };
        let hashes = |kept: &Value| (kept["input_resume_hash"].clone(), kept["job_description_hash"].clone());
        let (_, first) = send(&|_| {}).await;
        let (resume, job) = hashes(&first);
        for hash in [&resume, &job] {
            let text = hash.as_str().unwrap();
            assert!(text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()), "{text}");
        }
        assert_ne!(resume, job);
        let (_, again) = send(&|_| {}).await;
        assert_eq!(hashes(&again), (resume.clone(), job.clone()), "what went in is recognised");
        let (_, longer) = send(&|given| given["input_resume"]["length"] = json!(1201)).await;
        assert_ne!(longer["input_resume_hash"], resume);
        assert_eq!(longer["job_description_hash"], job);

        // A product that keeps the text to itself sends its own hash. Without the key nobody can try guesses: neither this
        // hash nor one of the same guess is found in what is stored.
        let own = "C0535E4BE2B79FFD93291305436BF889314E4A3FAEC05ECFFCBB7DF31AD9E51A";
        let (given, kept) = send(&|given| given["input_resume_hash"] = json!(own)).await;
        assert!(!kept.to_string().to_lowercase().contains(&own.to_lowercase()), "{kept}");
        assert!(!world.database.dump().await.to_lowercase().contains(&own.to_lowercase()));
        let (_, lower) = send(&|given| given["input_resume_hash"] = json!(own.to_lowercase())).await;
        assert_eq!(lower["input_resume_hash"], kept["input_resume_hash"]);
        let mut whole = kept["record"].clone();
        assert_eq!(whole["input_resume_hash"], kept["input_resume_hash"]);
        whole["input_resume_hash"] = given["input_resume_hash"].clone();
        assert_eq!(whole, given, "the record says the rest as it came");
        for wrong in [json!("c0535e4b"), json!("z".repeat(64)), json!(7)] {
            let mut variant = given.clone();
            variant["optimization_id"] = json!(Uuid::now_v7());
            variant["input_resume_hash"] = wrong;
            let answer = world.post("/api/learning/records/optimization", &variant).await;
            assert_eq!(answer.status, 422, "{}", answer.text);
        }

        // What is not said has no hash.
        let (_, none) = send(&|given| {
            given.as_object_mut().unwrap().remove("input_resume");
            given["job_description"] = json!({});
        })
        .await;
        assert_eq!(hashes(&none), (Value::Null, Value::Null));

        // Whoever may not read content sees the hash, which says nothing of it.
        let path = format!("/api/learning/records/optimization/{}", first["id"].as_str().unwrap());
        let seen = world.request(Method::GET, &path).bearer_auth(&world.member);
        let seen = Answer::of(seen).await.expect(200);
        assert_eq!((&seen["input_resume_hash"], &seen["record"]), (&resume, &Value::Null));
    })
    .await;
}

#[tokio::test]
async fn the_correction_of_the_printed_script_is_taken_and_comes_back_whole() {
    let name = "the_correction_of_the_printed_script_is_taken_and_comes_back_whole";
    let Some(folder) = requirements() else { return skipped(name, SKIP) };
    let text = std::fs::read_to_string(folder.join(DOCUMENTS[0])).unwrap();
    let (_, script) = text.split_once("JSON.stringify({").unwrap();
    let (script, _) = script.split_once("})").unwrap();
    let fields: Vec<_> =
        script.lines().filter_map(|line| line.trim().split_once(':')).map(|(f, _)| f).collect();
    assert_eq!(fields, ["url", "originalData", "correctedData", "platform", "timestamp", "userAgent"]);
    on_both(name, async |world| {
        // The script's values are variables: these are declared here.
        let given = json!({
            "url": "https://www.linkedin.com/jobs/view/4012345678?refId=x",
            "originalData": {"title": "Dev", "company": null, "location": "Oslo"},
            "correctedData": {"title": "Developer", "company": "Acme", "location": "Oslo"},
            "platform": "linkedin",
            "timestamp": "2026-11-21T10:00:00.000Z",
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0 Safari/537.36",
        });
        let stored = world.post("/api/agent?mode=feedback", &given).await.expect(201);
        assert_eq!((&stored["success"], &stored["platform"]), (&json!(true), &json!("linkedin")));
        let id = stored["id"].as_str().unwrap();
        let kept = world.get(&format!("/api/learning/feedback/{id}")).await.expect(200);
        assert_eq!(
            (&kept["feedback_type"], &kept["details_type"]),
            (&json!("correction"), &json!("field_correction"))
        );
        let details = &kept["details"];
        assert_eq!((&details["confidence"], &details["domain"]), (&json!(1.0), &json!("linkedin.com")));
        assert_eq!(details["url_pattern"], "linkedin.com/jobs/view/*");
        assert_eq!(
            details["fields"],
            json!([
                {"field": "company", "original": null, "corrected": "Acme", "kind": "missing"},
                {"field": "title", "original": "Dev", "corrected": "Developer", "kind": "incorrect"},
            ])
        );
        let mut whole = details["received"].clone();
        // Of the user agent its family is kept.
        assert_eq!(whole["userAgent"], "Chrome");
        whole["userAgent"] = given["userAgent"].clone();
        assert_eq!(whole, given);

        // What the table of corrections holds besides is kept too, unknown fields as well.
        let mut more = given.clone();
        for (field, value) in [
            ("feedbackType", json!("improvement")),
            ("confidence", json!(0.8)),
            ("parserUsed", json!("schema-org")),
            ("parserVersion", json!("2.1")),
            ("extractionMethod", json!("webllm")),
            ("webllmModel", json!("small")),
            ("webllmConfidence", json!(0.6)),
            ("correctionReason", json!("an old title")),
            ("isVerified", json!(true)),
            ("htmlSelectors", json!([".title"])),
        ] {
            more[field] = value;
        }
        let stored = world.post("/api/agent?mode=feedback", &more).await.expect(201);
        let path = format!("/api/learning/feedback/{}", stored["id"].as_str().unwrap());
        let kept = world.get(&path).await.expect(200);
        for (field, value) in more.as_object().unwrap().iter().filter(|(field, _)| *field != "userAgent") {
            assert_eq!(&kept["details"]["received"][field], value, "{field}");
        }
        assert_eq!(kept["details"]["fields"][0]["kind"], "improvement");
        assert_eq!(kept["details"]["verified"], true);

        for (field, wrong) in [
            ("url", json!("javascript:alert(1)")),
            ("originalData", json!([])),
            ("correctedData", given["originalData"].clone()),
            ("feedbackType", json!("wrong")),
            ("confidence", json!(2)),
            ("timestamp", json!("now")),
        ] {
            let mut variant = given.clone();
            variant[field] = wrong;
            let answer = world.post("/api/agent?mode=feedback", &variant).await;
            assert_eq!(answer.status, 422, "{field}: {}", answer.text);
        }
        world.post("/api/agent?mode=chat", &given).await.problem(422, "invalid_parameter");
    })
    .await;
}

async fn run(world: &World) -> String {
    let decision = world.decide(&json!({})).await;
    world.execute(&decision).await["id"].as_str().unwrap().to_owned()
}
