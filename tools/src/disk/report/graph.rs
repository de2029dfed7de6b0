//! Who refers to whom: all references of a snapshot as a graph, what of it can be reached, and circles of what cannot.
//!
//! Node 0 stands for the system: its root page and tables. Node n + 1 is object n of the census. Every walk has its stack in memory, so the
//! depth of the heap does not matter.

use super::census::Census;
use super::references::{self, References};
use revenant_vm::memory::Space;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Why an object is in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum State {
    /// Programs can get at it.
    Live,
    /// Programs can get at it through weak references only.
    Weak,
    /// It stands in counting's own lists, or hangs from what does: the next grace looks at it.
    Waiting,
    /// Nothing leads to it: only the collector frees it.
    #[default]
    Garbage,
}

/// References between nodes: those of node n are `targets[starts[n]..starts[n + 1]]`.
#[derive(Debug, Default)]
pub(super) struct Graph {
    starts: Vec<usize>,
    targets: Vec<u32>,
}

impl Graph {
    /// A graph from the lists of what each node refers to.
    #[cfg(test)]
    pub(super) fn from_lists(lists: impl IntoIterator<Item = Vec<u32>>) -> Self {
        let mut graph = Self { starts: vec![0], targets: Vec::new() };
        for list in lists {
            graph.targets.extend(list);
            graph.starts.push(graph.targets.len());
        }
        graph
    }

    /// How many nodes there are.
    pub(super) const fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// What a node refers to, as often as it does.
    pub(super) fn of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        let bounds = self.starts.get(node).zip(self.starts.get(node + 1));
        bounds.and_then(|(start, end)| self.targets.get(*start..*end)).unwrap_or_default()
    }

    /// How many references lead to each node.
    pub(super) fn in_degrees(&self) -> Vec<u32> {
        let mut degrees = vec![0_u32; self.len()];
        for target in &self.targets {
            if let Some(degree) = degrees.get_mut(*target as usize) {
                *degree = degree.saturating_add(1);
            }
        }
        degrees
    }
}

/// What a snapshot's objects are to each other.
#[derive(Debug)]
pub(super) struct Traced {
    /// All references. Those of node 0 are the roots.
    pub(super) graph: Graph,
    /// The state of each node.
    pub(super) states: Vec<State>,
    /// For each node that is live, the one before it on a shortest way from node 0; [`NONE`] for all others.
    pub(super) before: Vec<u32>,
    /// References that lead to no object.
    pub(super) dangling: u64,
}

/// The node of the object at a place of the census.
pub(super) fn node(place: usize) -> u32 {
    u32::try_from(place + 1).unwrap_or(NONE)
}

/// Follows every reference of a snapshot.
///
/// # Errors
/// There are more objects than nodes have numbers.
pub(super) fn trace(space: Space, census: &Census) -> Result<Traced, String> {
    if census.objects.len() >= NONE as usize - 1 {
        return Err(format!("{} objects are too many for a report", census.objects.len()));
    }
    let mut dangling = 0;
    let mut nodes = |addresses: &[u64]| -> Vec<u32> {
        let mut found = Vec::with_capacity(addresses.len());
        for address in addresses {
            match census.find(*address) {
                Some(place) => found.push(node(place)),
                None => dangling += 1,
            }
        }
        found
    };
    let mut references = References::new(space, census);
    let (mut addresses, tables) = references::roots(space);
    let mut graph = Graph { starts: vec![0], targets: nodes(&addresses) };
    let named = graph.targets.len();
    graph.targets.extend(nodes(&tables));
    graph.starts.push(graph.targets.len());
    for object in &census.objects {
        addresses.clear();
        references.of(object, &mut addresses);
        graph.targets.extend(nodes(&addresses));
        graph.starts.push(graph.targets.len());
    }
    let find = |address| census.find(address).map(node);
    let in_hand = references::in_hand(space, census);
    let in_hand: Vec<u32> = in_hand.into_iter().filter_map(find).collect();
    let weak = references::weak(space, census).into_iter();
    let weak: Vec<(u32, u32)> =
        weak.filter_map(|(target, weak)| find(target).zip(find(weak))).collect();
    let (states, before) = reach(&graph, named, &in_hand, &weak);
    Ok(Traced { graph, states, before, dangling })
}

/// What can be reached, and how; and the shortest ways. The first `named` roots are those that people have names for: a way from another is only
/// taken where there is none from these.
fn reach(
    graph: &Graph,
    named: usize,
    in_hand: &[u32],
    weak: &[(u32, u32)],
) -> (Vec<State>, Vec<u32>) {
    let mut states = vec![State::Garbage; graph.len()];
    let mut before = vec![NONE; graph.len()];
    let roots = graph.of(0);
    for part in [roots.get(..named), roots.get(named..)].into_iter().flatten() {
        let free: Vec<u32> =
            part.iter().copied().filter(|root| is_garbage(&states, *root)).collect();
        for root in &free {
            before[*root as usize] = 0;
        }
        spread(graph, free, State::Live, &mut states, Some(&mut before));
    }
    states[0] = State::Live;
    loop {
        // From a weak reference to its target; and to the weak reference, which whoever holds the target may ask for.
        let more = weak.iter().filter_map(|(target, weak)| {
            match (is_garbage(&states, *target), is_garbage(&states, *weak)) {
                (false, true) => Some(*weak),
                (true, false) => Some(*target),
                _ => None,
            }
        });
        let more: Vec<u32> = more.collect();
        if more.is_empty() {
            break;
        }
        spread(graph, more, State::Weak, &mut states, None);
    }
    spread(graph, in_hand.to_vec(), State::Waiting, &mut states, None);
    (states, before)
}

fn is_garbage(states: &[State], node: u32) -> bool {
    states.get(node as usize) == Some(&State::Garbage)
}

/// Gives a state to everything without one that `from` leads to, nearest first.
fn spread(
    graph: &Graph,
    from: Vec<u32>,
    state: State,
    states: &mut [State],
    mut before: Option<&mut Vec<u32>>,
) {
    let mut queue = Vec::new();
    let mut enter = |node: u32, queue: &mut Vec<u32>| {
        let free = states.get_mut(node as usize).filter(|found| **found == State::Garbage);
        let entered = free.is_some();
        if let Some(found) = free {
            *found = state;
            queue.push(node);
        }
        entered
    };
    for node in from {
        enter(node, &mut queue);
    }
    let mut next = 0;
    while let Some(node) = queue.get(next).copied() {
        next += 1;
        for target in graph.of(node) {
            if enter(*target, &mut queue)
                && let Some(place) =
                    before.as_mut().and_then(|before| before.get_mut(*target as usize))
            {
                *place = node;
            }
        }
    }
}

/// Circles among the nodes of one state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Circles {
    /// For each node the number of its circle, [`NONE`] if it is in none.
    pub(super) of: Vec<u32>,
    /// How many there are.
    pub(super) count: u32,
}

/// A visit of Tarjan's algorithm that has not ended: a node and its next reference.
struct Visit {
    node: u32,
    next: usize,
}

/// Finds the circles among garbage: strongly connected components of several objects, or of one that refers to itself
/// (R. Tarjan, Depth-first search and linear graph algorithms, 1972; with a stack of its own instead of recursion).
pub(super) fn circles(graph: &Graph, states: &[State]) -> Circles {
    let size = graph.len();
    let mut circles = Circles { of: vec![NONE; size], count: 0 };
    let (mut order, mut low) = (vec![NONE; size], vec![NONE; size]);
    let mut stacked = vec![false; size];
    let (mut path, mut stack, mut counter) = (Vec::<Visit>::new(), Vec::new(), 0_u32);
    let garbage = |node: u32| states.get(node as usize) == Some(&State::Garbage);
    for first in (0..size).filter_map(|node| u32::try_from(node).ok()).filter(|node| garbage(*node))
    {
        if order[first as usize] != NONE {
            continue;
        }
        path.push(Visit { node: first, next: 0 });
        while let Some(visit) = path.last_mut() {
            let node = visit.node;
            if visit.next == 0 && order[node as usize] == NONE {
                order[node as usize] = counter;
                low[node as usize] = counter;
                counter += 1;
                stack.push(node);
                stacked[node as usize] = true;
            }
            let target = graph.of(node).get(visit.next).copied();
            visit.next += 1;
            match target {
                Some(target) if !garbage(target) => {}
                Some(target) if order[target as usize] == NONE => {
                    path.push(Visit { node: target, next: 0 });
                }
                Some(target) if stacked[target as usize] => {
                    low[node as usize] = low[node as usize].min(order[target as usize]);
                }
                Some(_) => {}
                None => {
                    path.pop();
                    if let Some(parent) = path.last() {
                        let parent = parent.node as usize;
                        low[parent] = low[parent].min(low[node as usize]);
                    }
                    if low[node as usize] == order[node as usize] {
                        close(graph, node, &mut stack, &mut stacked, &mut circles);
                    }
                }
            }
        }
    }
    circles
}

/// Takes a component off the stack, down to the node that it was found from.
fn close(
    graph: &Graph,
    node: u32,
    stack: &mut Vec<u32>,
    stacked: &mut [bool],
    circles: &mut Circles,
) {
    let start = stack.iter().rposition(|found| *found == node).unwrap_or(0);
    let members = stack.split_off(start);
    let is_circle = members.len() > 1 || graph.of(node).contains(&node);
    for member in members {
        stacked[member as usize] = false;
        if is_circle {
            circles.of[member as usize] = circles.count;
        }
    }
    circles.count += u32::from(is_circle);
}
