//! Ad-hoc walks of every kind of container, asked as a user asks them: of the demo's own bytes, and of containers that are built in a
//! part of its memory that the recording leaves out.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Output, Session, SessionOptions, Settings, Statistics, Status, demo};
use crate::addr::PhysAddr;
use crate::memory::{Recording, SparseMemory};
use crate::profile::SearchPath;
use crate::report::{Report, SourceText};
use crate::row::Rows;
use crate::value::Value;

/// Where containers are built, physical.
const PLACE: u64 = 0x600_0000;

#[derive(Default)]
pub(super) struct Listener {
    rows: Vec<Rows>,
    pub(super) reports: Vec<Report>,
    pub(super) texts: Vec<String>,
}

impl Output for Listener {
    fn rows(&mut self, rows: &Rows, _: &Settings) {
        self.rows.push(rows.clone());
    }

    fn text(&mut self, text: &str) {
        self.texts.push(text.to_owned());
    }

    fn report(&mut self, report: &Report) {
        self.reports.push(report.clone());
    }

    fn statistics(&mut self, _: &Statistics) {}
}

fn session(memory: SparseMemory) -> Session {
    session_with(memory, Vec::new())
}

pub(super) fn session_with(memory: SparseMemory, profiles: Vec<PathBuf>) -> Session {
    Session::open(SessionOptions {
        memory: Box::new(crate::memory::Immediate::new(memory)),
        target: "the demo".to_owned(),
        profiles,
        built_in_profile: Some(super::BuiltInProfile::load(demo::profile)),
        variables: Vec::new(),
        ram: None,
        vmlinux: None,
        scan_budget: u64::MAX,
        search_path: SearchPath::default(),
    })
    .unwrap()
}

pub(super) fn recorded() -> SparseMemory {
    Recording::from_bytes(demo::RECORDING)
        .unwrap()
        .into_memory()
}

pub(super) fn ask(session: &mut Session, text: &str) -> (Status, Listener) {
    let mut listener = Listener::default();
    let text = Arc::new(SourceText {
        name: "test".to_owned(),
        text: text.to_owned(),
    });
    let status = session.run(&text, &mut listener);
    (status, listener)
}

/// The numbers in the rows of a query.
pub(super) fn numbers(session: &mut Session, text: &str) -> Vec<Vec<i128>> {
    let (status, listener) = ask(session, text);
    assert_eq!(status, Status::Complete, "{text}: {:?}", listener.reports);
    let rows = listener.rows.iter().flat_map(|rows| &rows.rows);
    rows.map(|row| {
        row.cells
            .iter()
            .map(|cell| cell.as_integer().unwrap_or(-1))
            .collect()
    })
    .collect()
}

/// What a statement is refused with: its message and the label at the place.
pub(super) fn refusal(session: &mut Session, text: &str) -> String {
    let (status, listener) = ask(session, text);
    assert_eq!(status, Status::Wrong, "{text}");
    format!("{:?}", listener.reports)
}

/// Words to put at distances from [`PLACE`]; those that are small stand for distances themselves, the rest for what they are.
fn built(words: &[(u64, u64)]) -> Session {
    let direct = match ask(&mut session(recorded()), "print virt(0)").1.rows[0].rows[0].cells[1] {
        Value::Address(direct) => direct,
        ref other => panic!("{other:?}"),
    };
    let mut memory = recorded();
    memory.insert(PhysAddr::new(PLACE), &[0; 0x4000]);
    for (at, word) in words {
        let word = if (1..0x10_0000).contains(word) {
            direct + PLACE + word
        } else {
            *word
        };
        memory.insert(PhysAddr::new(PLACE + at), &word.to_le_bytes());
    }
    session(memory)
}

#[test]
fn the_hash_list_of_a_pid_gives_its_task() {
    let mut session = session(recorded());
    let by_list = numbers(
        &mut session,
        "walk pids as p, hlist(struct task_struct.pid_links[0]) from p.tasks[0] as t where p.nr < 50 select p.nr, t.pid",
    );
    let by_pointer = numbers(&mut session, "walk pids where nr < 50 select nr, task.pid");
    assert!(by_list.len() > 10);
    assert_eq!(by_list, by_pointer);
}

#[test]
fn a_radix_tree_is_an_xarray() {
    let mut session = session(recorded());
    let [radix, xarray] = ["radix", "xarray"].map(|kind| {
        let text =
            format!("walk {kind}(struct pid) from init_pid_ns.idr.idr_rt select index, address");
        numbers(&mut session, &text)
    });
    assert!(radix.len() > 10);
    assert_eq!(radix, xarray);
}

/// Elements at 0x100, 0x200 and 0x300, whose links are where `member` says.
const THREE: [u64; 3] = [0x100, 0x200, 0x300];

fn offset(member: &str) -> u64 {
    let text = format!("print offsetof(struct {member})");
    u64::try_from(numbers(&mut session(recorded()), &text)[0][1]).unwrap()
}

/// Words of a list with one pointer in its head, which is at 0x10.
fn chained(link: u64, end: u64) -> Vec<(u64, u64)> {
    let mut words = Vec::new();
    let mut at = 0x10;
    for element in THREE {
        words.push((at, element + link));
        words.push((element + link + 8, at));
        at = element + link;
    }
    words.push((at, end));
    words
}

#[test]
fn lock_less_lists_are_walked() {
    let link = offset("mount, mnt_llist");
    let mut session = built(&chained(link, 0));
    let rows = numbers(
        &mut session,
        "walk llist(struct mount.mnt_llist) from (struct llist_head *)virt(0x6000010) as m select index, address - virt(0x6000000)",
    );
    assert_eq!(rows, [[0, 0x100], [1, 0x200], [2, 0x300]]);
}

#[test]
fn hash_lists_that_end_with_an_odd_value_are_walked() {
    let link = offset("sock, __sk_common.skc_nulls_node");
    let mut session = built(&chained(link, 0x1234_5679));
    let rows = numbers(
        &mut session,
        "walk hlist(struct sock.__sk_common.skc_nulls_node) from (struct hlist_nulls_head *)virt(0x6000010) as s
         select index, address - virt(0x6000000)",
    );
    assert_eq!(rows, [[0, 0x100], [1, 0x200], [2, 0x300]]);
}

#[test]
fn hash_lists_with_a_lock_in_their_head_are_walked() {
    let link = offset("dentry, d_hash");
    let mut words = chained(link, 0);
    words[0].1 += 1;
    let mut session = built(&words);
    let rows = numbers(
        &mut session,
        "walk hlist(struct dentry.d_hash) from (struct hlist_bl_head *)virt(0x6000010) as d
         select index, address - virt(0x6000000)",
    );
    assert_eq!(rows, [[0, 0x100], [1, 0x200], [2, 0x300]]);
}

#[test]
fn lists_by_priority_are_walked() {
    let inside = offset("plist_node, node_list");
    let link = offset("swap_info_struct, list") + inside;
    let head = 0x10 + offset("plist_head, node_list");
    let ring: Vec<u64> = std::iter::once(head)
        .chain(THREE.map(|element| element + link))
        .collect();
    let mut words = Vec::new();
    for (number, at) in ring.iter().enumerate() {
        let next = ring[(number + 1) % ring.len()];
        words.extend([(*at, next), (next + 8, *at)]);
    }
    let mut session = built(&words);
    let rows = numbers(
        &mut session,
        "walk plist(struct swap_info_struct.list) from (struct plist_head *)virt(0x6000010) as s
         select index, address - virt(0x6000000)",
    );
    assert_eq!(rows, [[0, 0x100], [1, 0x200], [2, 0x300]]);
}

#[test]
fn red_black_trees_are_walked_in_order_with_depths() {
    let link = offset("sched_entity, run_node");
    let [left, right] = ["rb_node, rb_left", "rb_node, rb_right"].map(offset);
    let words = [
        (0x10, 0x200 + link),
        (0x200 + link + left, 0x100 + link),
        (0x200 + link + right, 0x300 + link),
        (0x100 + link, 0x201 + link),
        (0x300 + link, 0x200 + link),
    ];
    for head in ["rb_root", "rb_root_cached"] {
        let mut session = built(&words);
        let text = format!(
            "walk rbtree(struct sched_entity.run_node) from (struct {head} *)virt(0x6000010) as s
             select index, depth, address - virt(0x6000000)"
        );
        let rows = numbers(&mut session, &text);
        assert_eq!(rows, [[0, 1, 0x100], [1, 0, 0x200], [2, 1, 0x300]]);
    }
}

#[test]
fn plans_say_what_is_walked() {
    let mut session = session(recorded());
    for (traversal, plan) in [
        (
            "hlist(struct task_struct.pid_links[0]) from init_struct_pid.tasks[0]",
            "hlist of `struct task_struct`",
        ),
        (
            "llist(struct mount.mnt_llist) from delayed_mntput_list",
            "llist of `struct mount`",
        ),
        (
            "plist(struct swap_info_struct.list) from swap_active_head",
            "list of `struct swap_info_struct`",
        ),
        (
            "rbtree(struct sched_entity.run_node) from percpu(runqueues, 0).cfs.tasks_timeline",
            "red-black tree of `struct sched_entity`",
        ),
        (
            "radix(struct pid) from init_pid_ns.idr.idr_rt",
            "xarray of `struct pid`",
        ),
    ] {
        let text = format!("explain walk {traversal} select address");
        let (status, listener) = ask(&mut session, &text);
        assert_eq!(status, Status::Complete, "{:?}", listener.reports);
        let texts = listener.texts.concat();
        assert!(texts.contains(plan), "{texts}");
    }
}

#[test]
fn what_does_not_fit_is_told_with_what_would() {
    let mut session = session(recorded());
    for (traversal, message, label) in [
        (
            "hlist(struct module.list) from modules",
            "the member is a `struct list_head` and not a `struct hlist_node`, `struct hlist_nulls_node` or `struct hlist_bl_node`",
            "`list` walks by a `struct list_head`",
        ),
        (
            "list(struct mount.mnt_hash) from modules",
            "the member is a `struct hlist_node` and not a `struct list_head`",
            "`hlist` walks by a `struct hlist_node`",
        ),
        (
            "hlist(struct task_struct.pid_links) from init_struct_pid.tasks[0]",
            "the member is a `struct hlist_node[4]`",
            "it is an array of them: name one entry, as in `pid_links[0]`",
        ),
        (
            "hlist(struct task_struct.pid_links[0]) from init_struct_pid.tasks",
            "starts at a `struct hlist_head`, and this is",
            "it is an array of them: name one entry, as in `[0]`",
        ),
        (
            "rbtree(struct sched_entity.run_node) from percpu(runqueues, 0).cfs",
            "`rbtree` by a `struct rb_node` starts at a `struct rb_root` or `struct rb_root_cached`, and this is `struct cfs_rq`",
            "`struct cfs_rq` has `tasks_timeline`",
        ),
        (
            "rbtree(struct sched_entity.vruntime) from percpu(runqueues, 0).cfs.tasks_timeline",
            "the member is a `u64` and not a `struct rb_node`",
            "`struct sched_entity` has `run_node`",
        ),
        (
            "llist(struct mount.mnt_llist) from swap_active_head",
            "`llist` by a `struct llist_node` starts at a `struct llist_head`, and this is `struct plist_head`",
            "no member of `struct plist_head` is one",
        ),
        (
            "plist(struct swap_info_struct.list) from init_task",
            "`plist` by a `struct plist_node` starts at a `struct plist_head`",
            "no member of `struct task_struct` is one",
        ),
        (
            "xarray(struct pid) from init_pid_ns.idr",
            "`xarray` starts at a `struct xarray`, and this is `struct idr`",
            "`struct idr` has `idr_rt`",
        ),
        (
            "maple(struct vm_area_struct) from init_task",
            "`maple` starts at a `struct maple_tree`",
            "no member of `struct task_struct` is one",
        ),
        (
            "rbtree(struct sched_entity.run_node)",
            "`rbtree` needs to know where to start",
            "for example `rbtree(struct sched_entity.run_node) from",
        ),
        (
            "hlsit(struct module.list) from modules",
            "there is no traversal `hlsit`",
            "did you mean `hlist`?",
        ),
    ] {
        let told = refusal(&mut session, &format!("walk {traversal} select address"));
        assert!(told.contains(message), "{traversal}: {told}");
        assert!(told.contains(label), "{traversal}: {told}");
    }
}

const LIBRARY: &str = r#"
format: nettlp-walks/1
doc: A walk of each kind.
walks:
  pid_tasks:
    doc: Tasks of a pid.
    of: struct pid
    element: struct task_struct
    hlist: {head: "tasks[0]", link: "pid_links[0]"}
  late_mounts:
    doc: Mounts that wait to be freed.
    element: struct mount
    llist: {head: "@delayed_mntput_list", link: mnt_llist}
  swaps:
    doc: Swap areas by priority.
    element: struct swap_info_struct
    plist: {head: "@swap_active_head", link: list}
  queued:
    doc: Entities that wait for a run queue.
    of: struct rq
    element: struct sched_entity
    rbtree: {root: cfs.tasks_timeline, link: run_node}
  all_pids:
    doc: Ids.
    element: struct pid
    root: init_pid_ns
    radix: {root: idr.idr_rt}
  wrong_link:
    doc: By a member of another kind.
    element: struct module
    hlist: {head: "@modules", link: list}
  wrong_entry:
    doc: By an entry that the array has not.
    of: struct pid
    element: struct task_struct
    hlist: {head: "tasks[0]", link: "pid_links[4]"}
"#;

#[test]
fn walk_libraries_have_every_kind() {
    let name = format!("nettlp-containers-{}.yaml", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, LIBRARY).unwrap();
    let mut session = session_with(recorded(), vec![path.clone()]);
    std::fs::remove_file(&path).unwrap();
    let by_list = numbers(
        &mut session,
        "walk pids as p, pid_tasks of p as t where p.nr < 50 select p.nr, t.pid",
    );
    let by_pointer = numbers(&mut session, "walk pids where nr < 50 select nr, task.pid");
    assert_eq!(by_list, by_pointer);
    assert_eq!(
        numbers(&mut session, "walk all_pids select index, address"),
        numbers(&mut session, "walk pids select index, address")
    );
    for (walk, plan) in [
        ("late_mounts", "llist of `struct mount`"),
        ("swaps", "list of `struct swap_info_struct`"),
        (
            "run_queues, queued",
            "red-black tree of `struct sched_entity`",
        ),
    ] {
        let (status, listener) = ask(&mut session, &format!("explain walk {walk} select 1"));
        assert_eq!(status, Status::Complete, "{:?}", listener.reports);
        let texts = listener.texts.concat();
        assert!(texts.contains(plan), "{texts}");
    }
    let told = refusal(&mut session, "walk wrong_link select address");
    assert!(told.contains("the member is a `struct list_head` and not a `struct hlist_node`"));
    let told = refusal(&mut session, "walk pids, wrong_entry select 1");
    assert!(told.contains("`struct task_struct` has no member `pid_links[4]` on this kernel"));
}
