//! Who keeps whom: the dominator tree of the reachable objects. An object's retained subtree is what would go with it.
//!
//! T. Lengauer and R. Tarjan, A fast algorithm for finding dominators in a flowgraph, 1979: the simpler of their two versions, which
//! takes time of order m log n on any graph of m references; the walk and the compression of paths have stacks of their own instead of recursion.

use super::graph::{Graph, NONE};

/// The dominator tree of what node 0 leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Dominators {
    /// For each node the one that everything on every way to it passes last; [`NONE`] for node 0 and for what cannot be reached.
    pub(super) above: Vec<u32>,
    /// Nodes that can be reached, each before all that it dominates.
    pub(super) order: Vec<u32>,
}

/// The forest of the algorithm; everything here is by number in the order of the walk.
struct Forest {
    parent: Vec<u32>,
    semi: Vec<u32>,
    ancestor: Vec<u32>,
    label: Vec<u32>,
    path: Vec<u32>,
}

impl Forest {
    /// The node with the least semidominator on the way from `node` up to the root of its tree.
    fn evaluate(&mut self, node: u32) -> u32 {
        if self.ancestor[node as usize] == NONE {
            return node;
        }
        self.compress(node);
        self.label[node as usize]
    }

    fn compress(&mut self, node: u32) {
        let mut next = node;
        // All but the last two of the way: their ancestors have ancestors.
        while self.ancestor[self.ancestor[next as usize] as usize] != NONE {
            self.path.push(next);
            next = self.ancestor[next as usize];
        }
        while let Some(below) = self.path.pop() {
            let above = self.ancestor[below as usize] as usize;
            let (label, better) = (self.label[below as usize], self.label[above]);
            if self.semi[better as usize] < self.semi[label as usize] {
                self.label[below as usize] = better;
            }
            self.ancestor[below as usize] = self.ancestor[above];
        }
    }
}

/// A walk into the depth from node 0: the nodes in its order, the number of each one's parent in it, and each node's own number.
struct Walk {
    order: Vec<u32>,
    parent: Vec<u32>,
    number: Vec<u32>,
}

fn walk(graph: &Graph) -> Walk {
    let (mut order, mut parent, mut number) = (vec![0], vec![NONE], vec![NONE; graph.len()]);
    number[0] = 0;
    let (mut path, mut entered) = (vec![(0_u32, 0_usize)], 1_u32);
    while let Some((node, next)) = path.last_mut() {
        let node = *node;
        let target = graph.of(node).get(*next).copied();
        *next += 1;
        match target {
            Some(target) if number[target as usize] == NONE => {
                number[target as usize] = entered;
                entered += 1;
                order.push(target);
                parent.push(number[node as usize]);
                path.push((target, 0));
            }
            Some(_) => {}
            None => {
                path.pop();
            }
        }
    }
    Walk { order, parent, number }
}

/// References the other way round, between numbers of the walk.
fn sources(graph: &Graph, walk: &Walk) -> (Vec<usize>, Vec<u32>) {
    let size = walk.order.len();
    let mut starts = vec![0_usize; size + 1];
    for node in &walk.order {
        for target in graph.of(*node) {
            starts[walk.number[*target as usize] as usize + 1] += 1;
        }
    }
    for place in 0..size {
        starts[place + 1] += starts[place];
    }
    let mut filled = starts.clone();
    let mut sources = vec![0; starts[size]];
    for (source, node) in (0_u32..).zip(&walk.order) {
        for target in graph.of(*node) {
            let place = &mut filled[walk.number[*target as usize] as usize];
            sources[*place] = source;
            *place += 1;
        }
    }
    (starts, sources)
}

/// The dominator tree of a graph, which has node 0.
pub(super) fn dominators(graph: &Graph) -> Dominators {
    let walk = walk(graph);
    let (starts, sources) = sources(graph, &walk);
    let size = u32::try_from(walk.order.len()).unwrap_or(NONE);
    let mut forest = Forest {
        parent: walk.parent,
        semi: (0..size).collect(),
        ancestor: vec![NONE; size as usize],
        label: (0..size).collect(),
        path: Vec::new(),
    };
    let mut dominator = vec![NONE; size as usize];
    // Nodes whose semidominator is this one: lists through `next`.
    let (mut head, mut next) = (vec![NONE; size as usize], vec![NONE; size as usize]);
    for node in (1..size).rev() {
        let place = node as usize;
        for source in &sources[starts[place]..starts[place + 1]] {
            let best = forest.evaluate(*source);
            forest.semi[place] = forest.semi[place].min(forest.semi[best as usize]);
        }
        let semi = forest.semi[place] as usize;
        next[place] = head[semi];
        head[semi] = node;
        let parent = forest.parent[place];
        forest.ancestor[place] = parent;
        let mut waiting = core::mem::replace(&mut head[parent as usize], NONE);
        while waiting != NONE {
            let best = forest.evaluate(waiting);
            let sooner = forest.semi[best as usize] < forest.semi[waiting as usize];
            dominator[waiting as usize] = if sooner { best } else { parent };
            waiting = next[waiting as usize];
        }
    }
    let mut above = vec![NONE; graph.len()];
    for place in 1..size as usize {
        if dominator[place] != forest.semi[place] {
            dominator[place] = dominator[dominator[place] as usize];
        }
        above[walk.order[place] as usize] = walk.order[dominator[place] as usize];
    }
    Dominators { above, order: walk.order }
}

impl Dominators {
    /// Adds to each node's own weight those of all nodes that it dominates.
    pub(super) fn retained(&self, own: impl Fn(u32) -> u64) -> Vec<u64> {
        let mut retained = vec![0; self.above.len()];
        for node in self.order.iter().rev() {
            retained[*node as usize] += own(*node);
            let above = self.above[*node as usize];
            if above != NONE {
                retained[above as usize] += retained[*node as usize];
            }
        }
        retained
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Graph, NONE};
    use super::dominators;

    /// The dominators by what the word means: without one of them, there is no way.
    fn plainly(lists: &[Vec<u32>]) -> Vec<u32> {
        let reach = |without: u32| {
            let (mut seen, mut stack) = (vec![false; lists.len()], vec![0_u32]);
            while let Some(node) = stack.pop() {
                if node != without && !core::mem::replace(&mut seen[node as usize], true) {
                    stack.extend(&lists[node as usize]);
                }
            }
            seen
        };
        let all = reach(NONE);
        let size = u32::try_from(lists.len()).expect("a small graph");
        let without: Vec<Vec<bool>> = (0..size).map(reach).collect();
        let dominates = |above: u32, node: u32| {
            above != node && all[node as usize] && !without[above as usize][node as usize]
        };
        let above = |node: u32| {
            // The last of them is the one that all others dominate.
            let mut found =
                (0..size).filter(|above| dominates(*above, node) && all[*above as usize]);
            let all_of: Vec<u32> = found.by_ref().collect();
            let last = all_of.iter().find(|last| {
                all_of.iter().all(|other| other == *last || dominates(*other, **last))
            });
            last.copied().unwrap_or(NONE)
        };
        (0..size).map(above).collect()
    }

    #[test]
    fn the_tree_is_what_the_word_means_on_random_graphs() {
        let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7_u64);
        println!("SEED={seed}");
        let mut state = seed;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u32::try_from((state >> 33) % below).expect("a small number")
        };
        for round in 0..3_000 {
            let size = 1 + random(14);
            let references = random(u64::from(size) * 3 + 1);
            let mut lists = vec![Vec::new(); size as usize];
            for _ in 0..references {
                let (from, to) = (random(u64::from(size)), random(u64::from(size)));
                lists[from as usize].push(to);
            }
            let expected = plainly(&lists);
            let tree = dominators(&Graph::from_lists(lists.clone()));
            assert_eq!(tree.above, expected, "SEED={seed} round {round}: {lists:?}");
            let retained = tree.retained(|_| 1);
            assert_eq!(retained[0], tree.order.len() as u64);
        }
    }

    #[test]
    fn depth_and_width_cost_no_more_than_size() {
        const SIZE: u32 = 300_000;
        // A list whose every node also refers to its head and to the one before: each node dominates all behind it.
        let lists = (0..SIZE).map(|node| {
            let behind = (node + 1 < SIZE).then_some(node + 1);
            behind.into_iter().chain([0, node.saturating_sub(1)]).collect()
        });
        let tree = dominators(&Graph::from_lists(lists));
        let retained = tree.retained(|_| 1);
        assert!((0..SIZE).all(|node| retained[node as usize] == u64::from(SIZE - node)));
    }
}
