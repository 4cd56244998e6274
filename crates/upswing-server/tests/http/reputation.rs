//! Accounts that lie in concert, and people who merely disagree: simulated from a seed, through the public API.

use std::time::Duration;

use serde_json::{Value, json};
use upswing_domain::AgentId;
use upswing_server::{ManualClock, replay_ledger};
use uuid::Uuid;

use crate::support::{World, on_both_with_clock};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Minority {
    /// Condemn the right version, praise the other.
    Lie,
    /// Truly like the other one better, as people do.
    Prefer,
}

const PEOPLE: u64 = 300;
/// The first of them are the minority.
const MINORITY: u64 = 30;
/// What the others think of the right version and of the other one.
const MEANS: [f64; 2] = [0.75, 0.5];
/// In a round so many report, then everybody waits until that is learned.
const ROUND: usize = 50;
/// At least so often each version serves: an agent that may be attacked should have a floor (`docs/trust.md`).
const FLOOR: f64 = 0.1;

/// An agent with a right version and another one, and those who report on it.
struct Crowd<'a> {
    world: &'a World,
    clock: &'a ManualClock,
    agent: String,
    random: Random,
    minority: Minority,
    /// How generous each person is: what is added to the means.
    generosity: Vec<f64>,
}

impl<'a> Crowd<'a> {
    async fn new(world: &'a World, clock: &'a ManualClock, minority: Minority) -> Self {
        let body = json!({"name": "crowd", "salt": "crowd",
                          "policy": {"name": "linear_thompson", "floor": FLOOR}});
        let agent = world.post("/api/learning/agents", &body).await.expect(201);
        let agent = agent["id"].as_str().unwrap().to_owned();
        for label in ["right", "other"] {
            let body = json!({"label": label, "config": {"template": label}});
            world.post(&format!("/api/learning/agents/{agent}/versions"), &body).await.expect(201);
        }
        let mut random = Random(7);
        let generosity = (0..PEOPLE).map(|_| 0.3 * (random.uniform() - 0.5)).collect();
        Self { world, clock, agent, random, minority, generosity }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/learning/agents/{}{rest}", self.agent)
    }

    /// Who reports: liars are as busy as the busiest tenth of the others, and so give a quarter of all reports. Each of them
    /// has said some nine things when a test ends: a quarter of what the caps allow.
    fn who(&mut self) -> u64 {
        let lying = self.minority == Minority::Lie && self.random.uniform() < 0.25;
        if lying { self.random.next() % MINORITY } else { self.random.next() % PEOPLE }
    }

    fn satisfied(&mut self, who: u64, right: bool) -> bool {
        let generosity = self.generosity[who as usize];
        let chance = match self.minority {
            Minority::Lie if who < MINORITY => return !right,
            Minority::Prefer if who < MINORITY => [0.45, 0.75][usize::from(!right)],
            _ => MEANS[usize::from(!right)],
        };
        self.random.uniform() < chance + generosity
    }

    /// One round; how many were served the right version.
    async fn round(&mut self) -> usize {
        // In the course of an hour, so that nobody looks like a machine.
        self.clock.advance_seconds(600);
        let asked: Vec<_> = (0..ROUND)
            .map(|_| json!({"agent_id": self.agent, "decision_id": Uuid::from_u64_pair(self.random.next(), self.random.next())}))
            .collect();
        let asked = asked.iter().map(|body| self.world.post("/api/learning/decide", body));
        let decisions: Vec<Value> = futures_util::future::join_all(asked)
            .await
            .into_iter()
            .map(|answer| answer.expect(200))
            .collect();
        let mut served = 0;
        let mut said = Vec::with_capacity(ROUND);
        for decision in decisions {
            let right = decision["label"] == "right";
            served += usize::from(right);
            let who = self.who();
            let thumb = if self.satisfied(who, right) { "thumbs_up" } else { "thumbs_down" };
            said.push(json!({"agent_id": self.agent, "execution_id": decision["decision_id"],
                             "token": decision["token"], "feedback_type": thumb, "author": name(who)}));
        }
        let answer = self.world.post("/api/learning/feedback", &json!(said)).await.expect(200);
        assert_eq!(answer["accepted"], ROUND, "{answer}");
        self.caught_up(&answer["position"]).await;
        served
    }

    /// Waits until what was said has been looked at, where it is looked at, and has been learned.
    async fn caught_up(&self, position: &Value) {
        let reached =
            |trust: &Value| trust["enabled"] == false || trust["position"].as_i64() >= position.as_i64();
        self.world.until(&self.path("/trust"), reached).await;
        let body = json!({"agent_id": self.agent, "min_position": position});
        self.world.post("/api/learning/decide", &body).await.expect(200);
    }

    /// The share of the right version among the last 300 served, after so many reports.
    async fn share(&mut self, reports: usize) -> f64 {
        let mut served = Vec::new();
        for _ in 0..reports / ROUND {
            served.push(self.round().await);
        }
        let last = &served[served.len() - 300 / ROUND..];
        last.iter().sum::<usize>() as f64 / 300.0
    }

    async fn trust(&self) -> Value {
        self.world.get(&self.path("/trust?limit=200")).await.expect(200)
    }

    /// How many of the minority, and of the others, are not believed.
    fn distrusted(&self, trust: &Value) -> (usize, usize) {
        let listed: Vec<_> = trust["distrusted"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["author"].as_str().unwrap())
            .collect();
        let minority: Vec<_> = (0..MINORITY)
            .map(|who| self.world.keyring.pseudonym(self.world.organisation, &name(who)).to_string())
            .collect();
        let found = listed.iter().filter(|one| minority.iter().any(|who| who == *one)).count();
        (found, listed.len() - found)
    }

    async fn state_hash_is_that_of_a_clean_replay(&self) {
        let agent = AgentId(Uuid::parse_str(&self.agent).unwrap());
        let store = self.world.server().store();
        let policy = self.path("/policy");
        // Feedback may still be following the last decision.
        for _ in 0..100 {
            let state = replay_ledger(store, self.world.organisation, agent).await.unwrap();
            let clean = blake3::hash(&state.to_bytes()).to_hex().to_string();
            if self.world.get(&policy).await.expect(200)["state_hash"] == clean {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("what was learned is not what the ledger says");
    }
}

fn name(who: u64) -> String {
    format!("person-{who}")
}

#[tokio::test]
async fn lies_in_concert_are_found_and_stop_teaching() {
    on_both_with_clock("lies_in_concert_are_found_and_stop_teaching", async |world, clock| {
        let mut crowd = Crowd::new(world, clock, Minority::Lie).await;
        let share = crowd.share(1_000).await;
        let trust = crowd.trust().await;
        let (liars, honest) = crowd.distrusted(&trust);
        // Each liar has said some nine things by then, the others three: of these some look like the script by chance until
        // they have said more.
        assert!(liars >= 27 && honest <= 27, "{liars} liars, {honest} others: {trust}");
        assert!(trust["suspicion"]["probability"].as_f64() > Some(0.9), "{trust}");
        assert_eq!(trust["accounts_distrusted"], liars + honest);
        assert!(!trust.to_string().contains("person-"), "people are pseudonyms: {trust}");
        // What the floor leaves is 0.9; the standard error of a share of 300 is 0.017.
        assert!(share > 0.8, "{share}");
        crowd.state_hash_is_that_of_a_clean_replay().await;
        let metrics = world.get("/metrics").await.text;
        let counted = |name: &str| -> u64 {
            let line = metrics.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(counted("upswing_reputation_fits_total") >= 5);
        assert!(counted("upswing_accounts_distrusted_total") >= 27);
        // Somebody who is not believed is heard, and does not teach.
        let liar = trust["distrusted"][0]["author"].as_str().unwrap();
        let exported = world.get("/api/learning/export/feedback").await.text;
        let of_liar: Vec<Value> = exported
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|one: &Value| one["author"] == liar)
            .collect();
        assert!(of_liar.iter().all(|one| one["standing"] == "distrusted"), "{of_liar:?}");
    })
    .await;
}

#[tokio::test]
async fn without_the_defence_lies_in_concert_lead_and_switched_off_it_gives_everything_back() {
    let name = "without_the_defence_lies_in_concert_lead_and_switched_off_it_gives_everything_back";
    on_both_with_clock(name, async |world, clock| {
        world.restart_with(|config| config.reputation = false).await;
        let mut crowd = Crowd::new(world, clock, Minority::Lie).await;
        let share = crowd.share(900).await;
        assert!(share < 0.3, "{share}");
        let agent = crowd.agent.clone();
        let path = format!("/api/learning/agents/{agent}/trust");
        let trust = world.get(&path).await.expect(200);
        assert_eq!((&trust["enabled"], &trust["reports"]), (&json!(false), &json!(0)), "{trust}");
        // Switched on, what was said before is read; off again, it is as before.
        world.restart().await;
        world.until(&path, |trust| trust["accounts_distrusted"].as_u64() >= Some(20)).await;
        world.restart_with(|config| config.reputation = false).await;
        world.until(&path, |trust| trust["accounts_distrusted"] == 0).await;
        for _ in 0..200 {
            let exported = world.get("/api/learning/export/feedback").await.text;
            if !exported.contains("\"distrusted\"") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("some feedback is still not believed");
    })
    .await;
}

#[tokio::test]
async fn a_minority_that_disagrees_is_not_silenced() {
    on_both_with_clock("a_minority_that_disagrees_is_not_silenced", async |world, clock| {
        let mut crowd = Crowd::new(world, clock, Minority::Prefer).await;
        crowd.share(600).await;
        let trust = crowd.trust().await;
        assert!(trust["refit_position"].is_i64() && trust["accounts_seen"].as_u64() > Some(250), "{trust}");
        let (minority, others) = crowd.distrusted(&trust);
        assert!(minority <= 3 && others <= 9, "{minority} of 30, {others} of 270: {trust}");
    })
    .await;
}
