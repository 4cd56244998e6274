//! The trees that spans form, whatever their order.

use std::collections::HashMap;

use crate::assemble::Ancestry;
use crate::id::{SpanId, TraceId};
use crate::span::RecordedSpan;

/// Spans by their place: nodes are sorted by trace and beginning, so that an index is also an order in time.
pub(crate) struct Forest<'a> {
    pub(crate) nodes: Vec<&'a RecordedSpan>,
    pub(crate) parent: Vec<Option<usize>>,
    pub(crate) ancestry: Vec<Ancestry>,
    /// All nodes, parents before their children.
    pub(crate) order: Vec<usize>,
}

impl<'a> Forest<'a> {
    pub(crate) fn new(spans: &'a [RecordedSpan]) -> Self {
        let nodes = distinct(spans);
        let places: HashMap<(TraceId, SpanId), usize> =
            nodes.iter().enumerate().map(|(place, span)| ((span.trace_id, span.span_id), place)).collect();
        let mut parent: Vec<Option<usize>> =
            nodes.iter().map(|span| places.get(&(span.trace_id, span.parent_span_id?)).copied()).collect();
        let circles = cut_circles(&mut parent);
        let order = order(&parent);
        let mut ancestry: Vec<Ancestry> = Vec::with_capacity(nodes.len());
        for (place, span) in nodes.iter().enumerate() {
            ancestry.push(match span.parent_span_id {
                _ if circles[place] => Ancestry::Circle,
                None => Ancestry::Root,
                Some(id) if span.parent_is_remote == Some(true) => Ancestry::Remote(id),
                Some(id) => Ancestry::Unseen(id),
            });
        }
        for &node in &order {
            if let Some(parent) = parent[node] {
                ancestry[node] = ancestry[parent];
            }
        }
        Self { nodes, parent, ancestry, order }
    }
}

/// Each span once. Of two that differ under one id the later end holds: it was written when more was known.
fn distinct(spans: &[RecordedSpan]) -> Vec<&RecordedSpan> {
    let mut nodes: Vec<&RecordedSpan> = spans.iter().collect();
    let text = |span: &RecordedSpan| serde_json::to_string(span).unwrap_or_default();
    nodes.sort_by(|a, b| {
        (a.trace_id, a.span_id)
            .cmp(&(b.trace_id, b.span_id))
            .then_with(|| b.ended_at.cmp(&a.ended_at))
            .then_with(|| {
                // Something that does not depend on the order in which they came.
                if a == b { std::cmp::Ordering::Equal } else { text(b).cmp(&text(a)) }
            })
    });
    nodes.dedup_by_key(|span| (span.trace_id, span.span_id));
    nodes.sort_by_key(|span| (span.trace_id, span.started_at, span.span_id));
    nodes
}

/// Cuts each circle of parents apart, and says which nodes were in one. A circle's nodes are the same wherever it is entered.
fn cut_circles(parent: &mut [Option<usize>]) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        OnPath,
        Done,
    }
    let mut state = vec![State::New; parent.len()];
    let mut circles = vec![false; parent.len()];
    let mut path = Vec::new();
    for start in 0..parent.len() {
        let mut next = Some(start);
        while let Some(node) = next.filter(|node| state[*node] == State::New) {
            state[node] = State::OnPath;
            path.push(node);
            next = parent[node];
        }
        if let Some(entry) = next.filter(|node| state[*node] == State::OnPath) {
            let begin = path.iter().position(|node| *node == entry).unwrap_or(0);
            for &node in &path[begin..] {
                circles[node] = true;
                parent[node] = None;
            }
        }
        for node in path.drain(..) {
            state[node] = State::Done;
        }
    }
    circles
}

/// Parents before their children.
fn order(parent: &[Option<usize>]) -> Vec<usize> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); parent.len()];
    let mut order: Vec<usize> = Vec::with_capacity(parent.len());
    for (node, parent) in parent.iter().enumerate() {
        match parent {
            Some(parent) => children[*parent].push(node),
            None => order.push(node),
        }
    }
    let mut next = 0;
    while let Some(&node) = order.get(next) {
        order.extend(&children[node]);
        next += 1;
    }
    order
}
