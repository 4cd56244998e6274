//! Crates depend on each other in the direction that the layers allow, and ARCHITECTURE.md lists what is so.
//!
//! Two things are held: a manifest has no edge that [`ALLOWED`] lacks, and the list between `<!-- edges -->` and
//! `<!-- /edges -->` in ARCHITECTURE.md has the manifests' edges, all and no others. Test dependencies are free: a test may
//! look at a lower layer from above.

use std::collections::{BTreeMap, BTreeSet};

use crate::Finding;
use crate::metadata::{Metadata, Package};
use crate::project::Project;

/// What each layer, a crate in `crates/`, may use. Tools and benchmarks, beside it, may use what they like.
const ALLOWED: &[(&str, &[&str])] = &[
    ("upswing-stats", &[]),
    ("upswing-domain", &[]),
    ("upswing-learn", &["upswing-domain", "upswing-stats"]),
    ("upswing-otlp", &["upswing-domain"]),
    ("upswing-privacy", &["upswing-domain"]),
    ("upswing-store", &["upswing-domain", "upswing-stats"]),
    ("upswing-trust", &["upswing-domain", "upswing-stats"]),
    (
        "upswing-server",
        &[
            "upswing-domain",
            "upswing-learn",
            "upswing-otlp",
            "upswing-privacy",
            "upswing-stats",
            "upswing-store",
            "upswing-trust",
        ],
    ),
    (
        "upswing-cli",
        &[
            "upswing-domain",
            "upswing-learn",
            "upswing-privacy",
            "upswing-server",
            "upswing-stats",
            "upswing-store",
        ],
    ),
];

const PAGE: &str = "ARCHITECTURE.md";
const OPEN: &str = "<!-- edges -->";
const CLOSE: &str = "<!-- /edges -->";

/// A crate and the crates of ours that it uses.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// The rule.
pub fn check(project: &Project, metadata: &Metadata) -> Vec<Finding> {
    let actual = from_manifests(metadata);
    let mut findings = forbidden(&actual);
    match project.file(PAGE).and_then(|page| from_page(&page.text)) {
        Some(listed) => findings.extend(differences(&actual, &listed)),
        None => findings.push(Finding::new(
            PAGE,
            format!("must list the crates between `{OPEN}` and `{CLOSE}`, as lines `upswing-learn -> upswing-domain`"),
        )),
    }
    findings
}

fn from_manifests(metadata: &Metadata) -> Edges {
    let mut edges = Edges::new();
    let is_layer =
        |package: &&Package| package.manifest_path.ends_with(&format!("/crates/{}/Cargo.toml", package.name));
    for package in metadata.packages.iter().filter(is_layer) {
        let uses = package
            .dependencies
            .iter()
            .filter(|used| used.path.is_some() && used.kind.as_deref() != Some("dev"))
            .map(|used| used.name.clone());
        edges.insert(package.name.clone(), uses.collect());
    }
    edges
}

/// The list in the page: `a -> b, c`, or `a -> nothing`, also as list items and with backticks.
fn from_page(text: &str) -> Option<Edges> {
    let (_, rest) = text.split_once(OPEN)?;
    let (list, _) = rest.split_once(CLOSE)?;
    let mut edges = Edges::new();
    for line in list.lines() {
        let line = line.replace(['`', '.'], "");
        if let Some((name, uses)) = line.trim().trim_start_matches(['-', '*', ' ']).split_once("->") {
            let uses = uses.split(',').map(|used| used.trim().to_owned());
            let uses = uses.filter(|used| !used.is_empty() && used != "nothing").collect();
            edges.insert(name.trim().to_owned(), uses);
        }
    }
    Some(edges)
}

fn forbidden(actual: &Edges) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, uses) in actual {
        let place = format!("crates/{name}/Cargo.toml");
        let Some((_, allowed)) = ALLOWED.iter().find(|(layer, _)| layer == name) else {
            let message = "is a new layer; say in xtask/src/tidy/edges.rs what it may use";
            findings.push(Finding::new(place, message));
            continue;
        };
        for used in uses.iter().filter(|used| !allowed.contains(&used.as_str())) {
            let may = if allowed.is_empty() { "nothing of ours".to_owned() } else { allowed.join(", ") };
            findings.push(Finding::new(
                place.clone(),
                format!(
                    "uses {used}, but this layer may use only: {may}; move what is shared to a lower layer"
                ),
            ));
        }
    }
    findings
}

fn differences(actual: &Edges, listed: &Edges) -> Vec<Finding> {
    let show = |uses: Option<&BTreeSet<String>>, name: &str| match uses {
        None => format!("no `{name}`"),
        Some(uses) if uses.is_empty() => format!("`{name} -> nothing`"),
        Some(uses) => format!("`{name} -> {}`", uses.iter().cloned().collect::<Vec<_>>().join(", ")),
    };
    let names: BTreeSet<&String> = actual.keys().chain(listed.keys()).collect();
    names
        .into_iter()
        .filter(|name| actual.get(*name) != listed.get(*name))
        .map(|name| {
            let (is, says) = (show(actual.get(name), name), show(listed.get(name), name));
            Finding::new(
                PAGE,
                format!("the list of crates has {says}, the manifests have {is}: correct the list"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifests(text: &str) -> Edges {
        from_manifests(&serde_json::from_str(text).unwrap())
    }

    fn edges(name: &str, uses: &[&str]) -> Edges {
        Edges::from([(name.to_owned(), uses.iter().map(|used| (*used).to_owned()).collect())])
    }

    #[test]
    fn manifests_give_edges_between_our_crates_without_those_of_tests() {
        let found = manifests(
            r#"{"packages": [
              {"name": "upswing-bench", "version": "0.1.0", "license": null, "manifest_path": "/x/bench/Cargo.toml",
               "dependencies": []},
              {"name": "upswing-learn", "version": "0.1.0", "license": null,
               "manifest_path": "/x/crates/upswing-learn/Cargo.toml", "dependencies": [
                {"name": "upswing-domain", "kind": null, "path": "/x/upswing-domain"},
                {"name": "upswing-server", "kind": "dev", "path": "/x/upswing-server"},
                {"name": "serde", "kind": null, "path": null}]}]}"#,
        );
        assert_eq!(found, edges("upswing-learn", &["upswing-domain"]));
    }

    #[test]
    fn an_edge_upwards_is_forbidden() {
        assert_eq!(forbidden(&edges("upswing-learn", &["upswing-domain", "upswing-stats"])), []);
        let findings = forbidden(&edges("upswing-domain", &["upswing-store"]));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "crates/upswing-domain/Cargo.toml");
        assert!(findings[0].message.contains("upswing-store"));
    }

    #[test]
    fn a_new_layer_must_say_what_it_may_use() {
        assert!(forbidden(&edges("upswing-new", &[]))[0].message.contains("edges.rs"));
    }

    #[test]
    fn the_page_lists_edges() {
        let page =
            format!("x\n{OPEN}\n- `upswing-learn` -> `upswing-domain`, `upswing-stats`\n{CLOSE}\ny -> z");
        assert_eq!(from_page(&page), Some(edges("upswing-learn", &["upswing-domain", "upswing-stats"])));
        let page = format!("{OPEN}\n```\nupswing-stats -> nothing\n```\n{CLOSE}");
        assert_eq!(from_page(&page), Some(edges("upswing-stats", &[])));
        assert_eq!(from_page("no list"), None);
    }

    #[test]
    fn the_page_and_the_manifests_must_agree() {
        let actual = edges("upswing-learn", &["upswing-domain"]);
        assert_eq!(differences(&actual, &actual), []);
        assert_eq!(differences(&actual, &edges("upswing-learn", &[])).len(), 1);
        assert_eq!(differences(&actual, &Edges::new()).len(), 1);
        assert_eq!(differences(&Edges::new(), &actual).len(), 1);
    }
}
