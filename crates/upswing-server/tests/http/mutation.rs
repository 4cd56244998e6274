//! Inputs that are almost right: bodies of the routes of collecting, changed in places.

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

const BODIES: &[&str] = &[
    r#"{"execution_id":"01920000-0000-7000-8000-000000000001","agent_id":"01920000-0000-7000-8000-000000000002","feedback_type":"correction","rating":2,"feedback_text":"The sum was wrong, mail a@b.example","correction_text":"42","issue_categories":["incorrect"],"dimensions":{"accuracy":2,"clarity":4}}"#,
    r#"{"agent_id":"01920000-0000-7000-8000-000000000002","unit":"ada","feedback_type":"detailed_feedback","details":{"type":"item_rating","item_id":"t","aspects":{"usability":4.5},"would_recommend":true}}"#,
    r#"[{"agent_id":"01920000-0000-7000-8000-000000000002","session_id":"s","feedback_type":"metric","metrics":{"reward":0.5}},{"feedback_type":"thumbs_up"}]"#,
    r#"{"agent_id":"01920000-0000-7000-8000-000000000002","session_id":"s","type":"search","query":"call +44 20 7946 0958","clickedIndices":[0,2],"timeToFirstClick":1200,"totalTime":31000,"queryRefinements":["a"],"abandonmentPoint":0}"#,
    r#"{"agent_id":"01920000-0000-7000-8000-000000000002","session_id":"s","type":"content_reading","wordsPerMinute":210,"scrollDepth":0.8,"totalReadTime":60000,"interactions":3,"category":"music"}"#,
    r#"{"token":"x","type":"edit","changed_share":0.25,"sequence":3}"#,
    r#"{"id":"01920000-0000-7000-8000-000000000003","agent_id":"01920000-0000-7000-8000-000000000002","context":{"task":"x","n":3,"f":true},"input":"q","output":"a","metrics":{"latency_ms":12.5},"occurred_at":"2026-01-28T12:00:00Z"}"#,
    r#"{"url":"https://www.example.com/jobs/1?x=y","originalData":{"title":"Dev","company":null},"correctedData":{"title":"Developer","pay":{"from":1}},"feedbackType":"missing","confidence":0.9,"timestamp":"2026-01-28T12:00:00Z","userAgent":"Firefox"}"#,
    r#"{"optimization_id":"01920000-0000-7000-8000-000000000004","job_description":{"industry":"tech","level":"senior","keywords":["a"]},"optimization_result":{"stage3_validation":{"overall_score":8.5},"processing_time":12.3,"cost":0.045},"user_feedback":{"rating":4,"comments":"Great","accepted_changes":0.85,"callback_improvement":true}}"#,
    r#"{"interaction_id":"01920000-0000-7000-8000-000000000005","input_data":{"raw_prompt":"p","token_count":15,"complexity_score":3},"context_data":{"recent_files":["a"]}}"#,
    r#"{"performance_metrics":{"total_processing_time_ms":156,"resource_usage":{"memory_peak_mb":45},"cache":{"hit":true}}}"#,
    r#"{"outcome_data":{"response_quality_score":8.5,"quality_metrics":{"accuracy":0.95},"feedback_data":{"explicit_feedback":"x","implicit_feedback":{"copy_action_count":3}}}}"#,
];

/// What is put in somewhere.
const PIECES: &[&str] = &[
    "null",
    "true",
    "-0",
    "1e308",
    "-1e400",
    "0.1e-400",
    "99999999999999999999",
    "\"\\u0000\"",
    "\"\\ud83d\"",
    "\"\u{202e}\"",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\\",
    "[[[[[[[[[[[[[[[[",
    "{\"a\":",
    "\"type\":\"copy\",",
    "\"type\":\"abandon\",",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "sk-ant-api03-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "name (at) example (dot) com",
    "\n",
    "\r\n",
    "\u{feff}",
    "\u{0660}\u{0661}",
    "\u{200b}",
    "\u{1f600}",
    "NaN",
    "Infinity",
    "\"2026-13-45T99:99:99Z\"",
    "\"-9999-01-01T00:00:00Z\"",
];

/// The next input, and whether it is sent as NDJSON.
pub(crate) fn input(random: &mut Random) -> (Vec<u8>, bool) {
    let mut bytes = BODIES[random.below(BODIES.len())].as_bytes().to_vec();
    if random.below(8) == 0 {
        bytes.push(b'\n');
        bytes.extend_from_slice(BODIES[random.below(BODIES.len())].as_bytes());
    }
    for _ in 0..random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(7) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            1 => bytes.truncate(at),
            2 => {
                let piece = PIECES[random.below(PIECES.len())].as_bytes();
                bytes.splice(at..at, piece.iter().copied());
            }
            3 => {
                // A value in place of another.
                let end = (at + 1 + random.below(20)).min(bytes.len());
                let piece = PIECES[random.below(PIECES.len())].as_bytes();
                bytes.splice(at..end, piece.iter().copied());
            }
            4 => {
                let other = BODIES[random.below(BODIES.len())].as_bytes();
                let from = random.below(other.len());
                let to = (from + random.below(80)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            5 => {
                let end = (at + random.below(60)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                for _ in 0..random.below(4) {
                    bytes.splice(at..at, again.iter().copied());
                }
            }
            _ => {
                let end = (at + random.below(30)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    (bytes, random.below(4) == 0)
}
