//! The options of the configuration file: one table, from which files are checked, environment variables are read and the
//! JSON Schema is made. TOML, YAML and JSON say the same.
//!
//! Blocks that other products document are taken as they are printed: with the names, and on the scales, that they have there.

use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// What an option may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Flag,
    /// A whole number within bounds.
    Whole(i64, i64),
    /// A number within bounds.
    Number(f64, f64),
    Text,
    Choice(&'static [&'static str]),
    Texts,
    /// The lowest and the highest.
    Range,
}

/// One option.
#[derive(Debug)]
pub(crate) struct Option_ {
    /// Names joined by dots.
    pub(crate) path: &'static str,
    kind: Kind,
    /// The environment variable that stands for it; it wins over the file.
    pub(crate) variable: Option<&'static str>,
    about: &'static str,
    /// The part of Upswing that is not built yet and would act on it; without it nothing follows.
    pub(crate) waits_for: Option<&'static str>,
}

const fn option(path: &'static str, kind: Kind, about: &'static str) -> Option_ {
    Option_ { path, kind, variable: None, about, waits_for: None }
}

const fn named(path: &'static str, kind: Kind, variable: &'static str, about: &'static str) -> Option_ {
    Option_ { path, kind, variable: Some(variable), about, waits_for: None }
}

/// Documented, and taken; the part that acts on it is not built yet.
const fn later(
    path: &'static str,
    kind: Kind,
    variable: Option<&'static str>,
    part: &'static str,
) -> Option_ {
    Option_ { path, kind, variable, about: "Not used yet: it waits for", waits_for: Some(part) }
}

const ANNOTATION: &str = "the annotation queue";
const TRAINING: &str = "training runs";
const MODELS: &str = "trained models";
const TEMPLATES: &str = "the optimisation of templates and parameters";
const PATTERNS: &str = "the recognition of patterns in interactions";
const MONITORING: &str = "the monitoring of the application's own performance";

const FREQUENCY: Kind = Kind::Choice(&["continuous", "hourly", "daily", "weekly", "monthly"]);
const COUNT: Kind = Kind::Whole(0, 1_000_000_000);
const SHARE: Kind = Kind::Number(0.0, 1.0);
const DAYS: Kind = Kind::Whole(1, 36_500);

/// Every option.
pub(crate) const OPTIONS: &[Option_] = &[
    option("listen", Kind::Text, "Where to listen, as in 127.0.0.1:8787."),
    option("data", Kind::Text, "The folder of the SQLite database and the master key."),
    option("database_url", Kind::Text, "postgres://... or sqlite:FILE."),
    option("log", Kind::Choice(&["human", "json"]), "How logs are written."),
    option("log_filter", Kind::Text, "Which logs are written, as in info or upswing=debug."),
    option("queue_capacity", Kind::Whole(1, 1_000_000), "How many events may wait to be written."),
    option(
        "gates.runner_hosts",
        Kind::Texts,
        "Hosts, as in runner.internal or 127.0.0.1:9000, at which versions may be tried although they are not public.",
    ),
    option(
        "gates.commands",
        Kind::Texts,
        "Programs that try versions or judge answers, each as NAME=PROGRAM ARGUMENT ...",
    ),
    named(
        "learning.enabled",
        Kind::Flag,
        "LEARNING_ENABLED",
        "Whether policies learn; what comes in is kept in any case.",
    ),
    option(
        "learning.historical_learning_enabled",
        Kind::Flag,
        "The same switch, under its other documented name: both must be on.",
    ),
    option(
        "learning.pattern_recognition_enabled",
        Kind::Flag,
        "Whether stream windows over behaviour make profiles.",
    ),
    option(
        "learning.enrichment_enabled",
        Kind::Flag,
        "Whether inputs and comments are looked through for keywords, complexity and domain.",
    ),
    option(
        "learning.feedback.collection_rate",
        SHARE,
        "Which share of executions people are asked about, and of behaviour is kept. Never limits what somebody says.",
    ),
    option(
        "learning.feedback.require_rating_threshold",
        Kind::Whole(1, 5),
        "Up to how many stars details are asked for.",
    ),
    option(
        "learning.feedback.author_cap",
        Kind::Whole(1, 1_000_000),
        "How many statements of one author about one agent teach within 30 days.",
    ),
    option(
        "learning.feedback.copies_cap",
        Kind::Whole(1, 1_000_000),
        "How many comments that are nearly the same teach within 30 days.",
    ),
    option(
        "learning.feedback.consent",
        Kind::Choice(&["unless_refused", "required"]),
        "Whose feedback may teach where a person has not decided.",
    ),
    named(
        "learning.feedback.retention_days",
        DAYS,
        "FEEDBACK_RETENTION_DAYS",
        "For how many days texts are kept that nothing new refers to; facts stay.",
    ),
    option(
        "learning.data_retention.interaction_data_days",
        DAYS,
        "The same for what was put in and came out: the longer of the two holds for all texts.",
    ),
    option(
        "learning.reputation_enabled",
        Kind::Flag,
        "Whether accounts that act in concert are looked for, and stop teaching.",
    ),
    option(
        "learning.data_retention.performance_data_days",
        DAYS,
        "For how many days hourly performance and the documents of performance records are kept.",
    ),
    option(
        "learning.data_retention.pattern_data_days",
        DAYS,
        "For how many days profiles and stream windows are kept that nothing was added to.",
    ),
    option(
        "learning.experiments.min_duration_hours",
        Kind::Whole(0, 87_600),
        "For how many hours an experiment that does not say it has no verdict.",
    ),
    named(
        "learning.experiments.min_samples",
        COUNT,
        "EXPERIMENT_MIN_SAMPLES",
        "How many units with an outcome an experiment that does not say it needs for a verdict.",
    ),
    option(
        "learning.experiments.significance_threshold",
        Kind::Number(0.0001, 0.5),
        "How often at most an experiment without effect may say that there is one, where it does not say it.",
    ),
    later("learning.adaptive_refinement_enabled", Kind::Flag, None, TEMPLATES),
    later("learning.performance_tracking_enabled", Kind::Flag, None, MONITORING),
    later("learning.data_retention.model_checkpoints_kept", COUNT, None, MODELS),
    later("learning.annotation.queue_size", COUNT, Some("ANNOTATION_QUEUE_SIZE"), ANNOTATION),
    later("learning.annotation.queue_priority", Kind::Texts, None, ANNOTATION),
    later("learning.annotation.auto_approve_threshold", SHARE, None, ANNOTATION),
    later("learning.training.job_timeout", COUNT, Some("TRAINING_JOB_TIMEOUT"), TRAINING),
    later("learning.training.prompt_optimization.frequency", FREQUENCY, None, TRAINING),
    later("learning.training.prompt_optimization.min_examples", COUNT, None, TRAINING),
    later("learning.training.prompt_optimization.max_variants", COUNT, None, TRAINING),
    later("learning.training.rag_tuning.frequency", FREQUENCY, None, TRAINING),
    later("learning.training.rag_tuning.min_feedback", COUNT, None, TRAINING),
    later("learning.training.rag_tuning.chunk_size_range", Kind::Range, None, TRAINING),
    later("learning.learning_parameters.learning_rate", SHARE, None, TEMPLATES),
    later("learning.learning_parameters.min_samples_for_adaptation", COUNT, None, TEMPLATES),
    later("learning.learning_parameters.confidence_decay_days", DAYS, None, TEMPLATES),
    later("learning.learning_parameters.adaptation_threshold", SHARE, None, TEMPLATES),
    later("learning.learning_parameters.max_adaptation_per_day", COUNT, None, TEMPLATES),
    later("learning.model_training.batch_size", COUNT, None, MODELS),
    later("learning.model_training.validation_split", SHARE, None, MODELS),
    later("learning.model_training.early_stopping_patience", COUNT, None, MODELS),
    later("learning.model_training.max_epochs", COUNT, None, MODELS),
    later("learning.model_training.model_save_interval", COUNT, None, MODELS),
    later("learning.optimization.template_optimization_frequency", FREQUENCY, None, TEMPLATES),
    later("learning.optimization.parameter_tuning_frequency", FREQUENCY, None, TEMPLATES),
    later("learning.optimization.pattern_update_frequency", FREQUENCY, None, PATTERNS),
    later("learning.optimization.model_retraining_frequency", FREQUENCY, None, MODELS),
    later("learning_strategies.template_selection.algorithm", Kind::Text, None, TEMPLATES),
    later("learning_strategies.template_selection.parameters.exploration_rate", SHARE, None, TEMPLATES),
    later("learning_strategies.template_selection.parameters.learning_rate", SHARE, None, TEMPLATES),
    later("learning_strategies.template_selection.parameters.discount_factor", SHARE, None, TEMPLATES),
    later("learning_strategies.parameter_optimization.algorithm", Kind::Text, None, TEMPLATES),
    later(
        "learning_strategies.parameter_optimization.parameters.acquisition_function",
        Kind::Text,
        None,
        TEMPLATES,
    ),
    later("learning_strategies.parameter_optimization.parameters.n_iterations", COUNT, None, TEMPLATES),
    later("learning_strategies.parameter_optimization.parameters.initial_points", COUNT, None, TEMPLATES),
    later("learning_strategies.pattern_recognition.algorithm", Kind::Text, None, PATTERNS),
    later("learning_strategies.pattern_recognition.parameters.clustering_method", Kind::Text, None, PATTERNS),
    later("learning_strategies.pattern_recognition.parameters.min_samples", COUNT, None, PATTERNS),
    later("learning_strategies.pattern_recognition.parameters.eps", Kind::Number(0.0, 1e9), None, PATTERNS),
];

/// A configuration: the values that were given, by path, each with where it came from.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Given(Vec<(&'static str, Value, String)>);

impl Given {
    /// Reads a file's text: YAML where its name ends so, JSON where it begins so, TOML otherwise.
    pub(crate) fn parse(text: &str, path: &str) -> Result<Self, Failure> {
        let bad = |error: String| Failure::new(format!("{path}: {}", error.trim_end()));
        let value: Value = if path.ends_with(".yaml") || path.ends_with(".yml") {
            serde_yaml_ng::from_str(text).map_err(|e| bad(e.to_string()))?
        } else if path.ends_with(".json") {
            serde_json::from_str(text).map_err(|e| bad(e.to_string()))?
        } else {
            let table: toml::Table = toml::from_str(text).map_err(|e| bad(e.to_string()))?;
            serde_json::to_value(table).map_err(|e| bad(e.to_string()))?
        };
        let mut given = Self::default();
        match value {
            Value::Null => {}
            Value::Object(map) => given.take("", &map, path)?,
            _ => return Err(bad("a configuration is a table of options".to_owned())),
        }
        Ok(given)
    }

    fn take(&mut self, prefix: &str, map: &Map<String, Value>, file: &str) -> Result<(), Failure> {
        for (name, value) in map {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            if let Some(option) = OPTIONS.iter().find(|option| option.path == path) {
                option.check(value).map_err(|why| Failure::new(format!("{file}: {why}")))?;
                self.0.push((option.path, value.clone(), file.to_owned()));
            } else if let (Value::Object(inner), true) = (value, leads_on(&path)) {
                self.take(&path, inner, file)?;
            } else if leads_on(&path) {
                return Err(Failure::new(format!(
                    "{file}: {path} is {value}, but must be a table of options"
                )));
            } else {
                return Err(unknown(file, &path));
            }
        }
        Ok(())
    }

    /// Adds what the environment says; it wins over files.
    pub(crate) fn with_environment(
        mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        for option in OPTIONS {
            let Some(name) = option.variable else { continue };
            let Some(text) = variable(name).filter(|text| !text.trim().is_empty()) else { continue };
            let value = match option.kind {
                Kind::Text | Kind::Choice(_) => json!(text),
                _ => serde_json::from_str(text.trim()).unwrap_or_else(|_| json!(text)),
            };
            option.check(&value).map_err(|why| Failure::new(format!("{name}: {why}")))?;
            self.0.retain(|(path, ..)| *path != option.path);
            self.0.push((option.path, value, name.to_owned()));
        }
        Ok(self)
    }

    /// The value of an option, where it was given.
    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        debug_assert!(OPTIONS.iter().any(|option| option.path == path), "{path} is in the table");
        self.0.iter().find(|(given, ..)| *given == path).map(|(_, value, _)| value)
    }

    /// A text.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.get(path)?.as_str().map(str::to_owned)
    }

    /// A list of texts.
    pub(crate) fn texts(&self, path: &str) -> Vec<String> {
        let all = self.get(path).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// A flag.
    pub(crate) fn flag(&self, path: &str) -> Option<bool> {
        self.get(path)?.as_bool()
    }

    /// A whole number.
    pub(crate) fn whole(&self, path: &str) -> Option<i64> {
        self.get(path)?.as_i64()
    }

    /// A number.
    pub(crate) fn number(&self, path: &str) -> Option<f64> {
        self.get(path)?.as_f64()
    }

    /// All values with where they came from.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &Value, &str)> {
        self.0.iter().map(|(path, value, source)| (*path, value, source.as_str()))
    }

    /// What was given and has no effect yet, each with the part it waits for.
    pub(crate) fn idle(&self) -> Vec<(&'static str, &'static str)> {
        let waits = |path: &str| OPTIONS.iter().find(|option| option.path == path)?.waits_for;
        self.0.iter().filter_map(|(path, ..)| Some((*path, waits(path)?))).collect()
    }
}

impl Option_ {
    fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match self.kind {
            Kind::Flag => value.is_boolean(),
            Kind::Whole(least, most) => value.as_i64().is_some_and(|v| (least..=most).contains(&v)),
            Kind::Number(least, most) => value.as_f64().is_some_and(|v| (least..=most).contains(&v)),
            Kind::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Kind::Choice(names) => value.as_str().is_some_and(|text| names.contains(&text)),
            Kind::Texts => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
            Kind::Range => match value.as_array().map(Vec::as_slice) {
                Some([low, high]) => {
                    low.as_i64().zip(high.as_i64()).is_some_and(|(low, high)| 0 < low && low <= high)
                }
                _ => false,
            },
        };
        if fits {
            return Ok(());
        }
        let expected = match self.kind {
            Kind::Flag => "true or false".to_owned(),
            Kind::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Number(least, most) => format!("a number from {least} to {most}"),
            Kind::Text => "a text".to_owned(),
            Kind::Choice(names) => format!("one of {}", names.join(", ")),
            Kind::Texts => "a list of texts".to_owned(),
            Kind::Range => "the lowest and the highest of a range, as in [256, 2048]".to_owned(),
        };
        Err(format!("{} is {value}, but must be {expected}", self.path))
    }

    fn schema(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
            Kind::Number(least, most) => json!({"type": "number", "minimum": least, "maximum": most}),
            Kind::Text => json!({"type": "string", "minLength": 1}),
            Kind::Choice(names) => json!({"type": "string", "enum": names}),
            Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Kind::Range => {
                json!({"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2})
            }
        };
        let variable = self.variable.map_or_else(String::new, |name| format!(" Environment: {name}."));
        let part = self.waits_for.map_or_else(String::new, |part| format!(" {part}."));
        schema["description"] = json!(format!("{}{part}{variable}", self.about));
        schema
    }
}

fn leads_on(path: &str) -> bool {
    OPTIONS.iter().any(|option| option.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// What may stand beside a path: names at its level.
fn siblings(path: &str) -> Vec<&'static str> {
    let prefix = path.rfind('.').map_or("", |dot| &path[..=dot]);
    let names = OPTIONS.iter().filter_map(|option| option.path.strip_prefix(prefix));
    let mut names: Vec<_> = names.filter_map(|rest| rest.split('.').next()).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    names
}

fn unknown(file: &str, path: &str) -> Failure {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let siblings = siblings(path);
    let close = |key: &str| strsim::jaro_winkler(name, key);
    let nearest = siblings.iter().max_by(|a, b| close(a).total_cmp(&close(b))).filter(|key| close(key) > 0.6);
    // Perhaps the right name in the wrong place.
    let elsewhere = OPTIONS.iter().find(|option| option.path.rsplit('.').next() == Some(name));
    let there = format!("there are {}", siblings.join(", "));
    let hint = match (nearest, elsewhere) {
        (_, Some(option)) => format!("did you mean '{}'? Here {there}", option.path),
        (Some(key), None) if parent.is_empty() => format!("did you mean '{key}'? {}", capital(&there)),
        (Some(key), None) => format!("did you mean '{parent}.{key}'? {}", capital(&there)),
        (None, None) => there,
    };
    Failure::new(format!("{file}: there is no option '{path}'")).hint(hint)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The JSON Schema of the configuration file.
pub(crate) fn schema() -> Value {
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Upswing's configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": {},
    });
    for option in OPTIONS {
        let mut place = &mut root;
        let mut names = option.path.split('.').peekable();
        while let Some(name) = names.next() {
            let table = json!({"type": "object", "additionalProperties": false, "properties": {}});
            let inner = if names.peek().is_some() { table } else { option.schema() };
            let properties = &mut place["properties"];
            if properties[name].is_null() {
                properties[name] = inner;
            }
            place = &mut place["properties"][name];
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_names_the_nearest() {
        let complaint = |text: &str, file: &str| Given::parse(text, file).unwrap_err().to_string();
        let top = complaint("listne = \"127.0.0.1:1\"", "upswing.toml");
        assert!(top.contains("'listne'") && top.contains("did you mean 'listen'?"), "{top}");
        let none = complaint("qqq = 1", "upswing.toml");
        assert!(!none.contains("did you mean"), "{none}");
        let deep = complaint("learning:\n  feedback:\n    colection_rate: 0.1\n", "system.yaml");
        assert!(
            deep.contains("system.yaml")
                && deep.contains("did you mean 'learning.feedback.collection_rate'?"),
            "{deep}"
        );
        let moved = complaint("collection_rate = 0.1", "upswing.toml");
        assert!(moved.contains("did you mean 'learning.feedback.collection_rate'?"), "{moved}");
    }

    #[test]
    fn a_wrong_value_names_place_value_and_range() {
        let complaint = |text: &str| Given::parse(text, "upswing.toml").unwrap_err().to_string();
        let high = complaint("[learning.feedback]\ncollection_rate = 1.5");
        assert!(
            high.contains("learning.feedback.collection_rate is 1.5, but must be a number from 0 to 1"),
            "{high}"
        );
        let flat = complaint("learning = 1");
        assert!(flat.contains("must be a table"), "{flat}");
        assert!(Given::parse("listen = [", "upswing.toml").is_err());
    }

    #[test]
    fn the_three_forms_say_the_same_and_the_environment_wins() {
        let toml =
            Given::parse("[learning]\nenabled = true\n[learning.feedback]\ncollection_rate = 0.1", "a")
                .unwrap();
        let yaml =
            Given::parse("learning:\n  enabled: true\n  feedback:\n    collection_rate: 0.1\n", "a.yaml")
                .unwrap();
        let json = Given::parse(
            r#"{"learning": {"enabled": true, "feedback": {"collection_rate": 0.1}}}"#,
            "a.json",
        )
        .unwrap();
        for given in [&toml, &yaml, &json] {
            assert_eq!(given.flag("learning.enabled"), Some(true));
            assert_eq!(given.number("learning.feedback.collection_rate"), Some(0.1));
        }
        let variables = |name: &str| match name {
            "LEARNING_ENABLED" => Some("false".to_owned()),
            "FEEDBACK_RETENTION_DAYS" => Some("365".to_owned()),
            _ => None,
        };
        let given = yaml.clone().with_environment(variables).unwrap();
        assert_eq!(given.flag("learning.enabled"), Some(false));
        assert_eq!(given.whole("learning.feedback.retention_days"), Some(365));
        let wrong = yaml.with_environment(|name| (name == "LEARNING_ENABLED").then(|| "perhaps".to_owned()));
        assert!(wrong.unwrap_err().to_string().contains("LEARNING_ENABLED"), "the variable is named");
    }

    #[test]
    fn the_schema_has_every_option_and_admits_no_other() {
        let schema = schema();
        for option in OPTIONS {
            let pointer =
                option.path.split('.').map(|name| format!("/properties/{name}")).collect::<String>();
            let found = schema.pointer(&pointer).unwrap_or_else(|| panic!("{}", option.path));
            assert!(found["description"].is_string(), "{found}");
        }
        assert_eq!(schema["properties"]["learning"]["additionalProperties"], false);
    }

    /// The documents' own blocks, as printed.
    #[test]
    fn the_documented_blocks_are_taken_as_they_are_printed() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/requirements");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        if !folder.is_dir() {
            let line = "SKIPPED the_documented_blocks_are_taken_as_they_are_printed: there is no shared data beside this checkout";
            assert!(!is_required(), "{line}");
            eprintln!("{line}");
            return log_skipped(line);
        }
        let prisma = read("prisma-glow-agent-learning-system.md");
        let yaml = prisma.split("```yaml\n").find(|block| block.starts_with("learning:")).unwrap();
        let given = Given::parse(yaml.split("```").next().unwrap(), "system.yaml").unwrap();
        // Fourteen keys. What has no effect is named with what it waits for; what is here has one.
        assert_eq!(given.all().count(), 14);
        let parts: std::collections::BTreeSet<_> = given.idle().into_iter().map(|(_, part)| part).collect();
        assert_eq!(parts, [ANNOTATION, TRAINING].into());
        assert_eq!(given.whole("learning.experiments.min_samples"), Some(1_000));
        assert_eq!(given.number("learning.feedback.collection_rate"), Some(0.1));
        assert_eq!(given.whole("learning.feedback.require_rating_threshold"), Some(3));
        let prompt = read("prompt-enhancement-learning-system.md");
        let blocks: Vec<_> = prompt
            .split("```json\n")
            .filter(|block| block.starts_with("{\n  \"learning"))
            .map(|block| Given::parse(block.split("```").next().unwrap(), "settings.json").unwrap())
            .collect();
        assert_eq!(blocks.iter().map(|given| given.all().count()).collect::<Vec<_>>(), [22, 12]);
        let days = ["interaction", "performance", "pattern"]
            .map(|class| blocks[0].whole(&format!("learning.data_retention.{class}_data_days")));
        assert_eq!(days, [Some(90), Some(365), Some(180)]);
        for (path, _) in blocks[0].idle() {
            assert!(
                path == "learning.data_retention.model_checkpoints_kept" || !path.contains("retention"),
                "{path}"
            );
        }
        let variables: Vec<_> = prisma
            .split("### Environment Variables")
            .nth(1)
            .unwrap()
            .split("```")
            .nth(1)
            .unwrap()
            .lines()
            .filter_map(|line| line.split_once('=').map(|(name, _)| name))
            .collect();
        assert_eq!(variables.len(), 10);
        // Those of the learning system; the database's is an option of every command, models and Redis come with their parts.
        let elsewhere =
            ["DATABASE_URL", "REDIS_URL", "OPENAI_API_KEY", "EMBEDDING_MODEL", "FINE_TUNE_BASE_MODEL"];
        for variable in variables.iter().filter(|name| !elsewhere.contains(name)) {
            assert!(OPTIONS.iter().any(|option| option.variable == Some(variable)), "{variable}");
        }
    }

    fn is_required() -> bool {
        std::env::var_os("UPSWING_REQUIRE_ALL").is_some_and(|v| v == "1")
    }

    fn log_skipped(line: &str) {
        use std::io::Write as _;
        if let Some(path) = std::env::var_os("UPSWING_SKIP_LOG") {
            let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            writeln!(log, "{line}").unwrap();
        }
    }
}
