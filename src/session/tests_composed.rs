//! Walks made of walks, declared as a user declares them, over the demo's own bytes.

use super::tests_containers::{ask, numbers, recorded, refusal, session_with};
use super::{Session, Status};

const LIBRARY: &str = r#"
format: nettlp-walks/1
doc: Walks made of walks.
walks:
  tasks_by_pid:
    doc: Tasks in the order of their ids.
    element: struct task_struct
    through: pids
    hlist: {head: "tasks[PIDTYPE_PID]", link: "pid_links[0]"}
    columns:
      nr: {doc: the id, expr: outer.nr}
  leaders_by_pid:
    doc: Processes in the order of their ids.
    element: struct task_struct
    through: pids
    follow: {pointer: outer.leader}
  kernel_threads:
    doc: Kernel threads.
    element: struct task_struct
    through: pids
    follow: {pointer: outer.leader}
    where: kthread and index < 1000
  user_processes:
    doc: Processes that are no kernel threads.
    element: struct task_struct
    through: pids
    follow: {pointer: outer.leader}
    where: not kthread
  both_kinds:
    doc: Kernel threads, then the others.
    element: struct task_struct
    union: [kernel_threads, user_processes]
  threads_again:
    doc: Threads of a process, through itself.
    of: struct task_struct
    element: struct task_struct
    through: threads
    follow: {pointer: "group_leader = &owner ? &self : null"}
  without_owner:
    doc: Through a walk of something.
    element: struct task_struct
    through: threads
    follow: {pointer: group_leader}
  through_nothing:
    doc: Through a walk that there is not.
    element: struct task_struct
    through: pidds
    follow: {pointer: outer.leader}
  through_itself:
    doc: Without end.
    element: struct task_struct
    through: through_itself
    follow: {pointer: group_leader}
  unlike:
    doc: Of two types.
    element: struct task_struct
    union: [tasks, pids]
  wrong_pointer:
    doc: To another type.
    element: struct task_struct
    through: pids
    follow: {pointer: "&self"}
  wrong_mask:
    doc: No numbers.
    element: unsigned long
    bits: {mask: "@modules"}
  wrong_condition:
    doc: About nothing.
    element: struct task_struct
    through: pids
    follow: {pointer: outer.leader}
    where: colour = 3
"#;

fn session() -> Session {
    let thread = std::thread::current();
    let name = format!(
        "nettlp-composed-{}-{:?}.yaml",
        std::process::id(),
        thread.id()
    );
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, LIBRARY).unwrap();
    let session = session_with(recorded(), vec![path.clone()]);
    std::fs::remove_file(&path).unwrap();
    session
}

#[test]
fn a_walk_goes_through_another() {
    let mut session = session();
    let composed = numbers(&mut session, "walk tasks_by_pid select nr, pid");
    let nested = numbers(
        &mut session,
        "walk pids as p, hlist(struct task_struct.pid_links[0]) from p.tasks[0] as t select p.nr, t.pid",
    );
    assert!(composed.len() > 10);
    assert_eq!(composed, nested);
    let indices = numbers(&mut session, "walk tasks_by_pid select index");
    let counted: Vec<_> = (0..composed.len() as i128)
        .map(|index| vec![index])
        .collect();
    assert_eq!(indices, counted);
    let limited = numbers(&mut session, "walk tasks_by_pid select nr, pid limit 3");
    assert_eq!(limited, composed[..3]);
    let by_column =
        "walk run_queues as r, tasks_by_pid as t where t.nr = 1 and r.cpu = 0 select t.pid";
    assert_eq!(numbers(&mut session, by_column), [[1]]);
}

#[test]
fn what_a_pointer_points_to_is_an_element_where_it_is_not_null() {
    let mut session = session();
    let followed = numbers(&mut session, "walk leaders_by_pid select pid");
    let processes = numbers(
        &mut session,
        "walk tasks where pid != 0 select pid order by pid",
    );
    assert_eq!(followed, processes);
    let of_owner = "walk tasks as t, threads_again of t as h where t.pid != 0 select h.tgid, h.pid";
    let threads = "walk tasks as t, threads of t as h where t.pid != 0 select h.pid, h.tid";
    assert_eq!(
        numbers(&mut session, of_owner),
        numbers(&mut session, threads)
    );
}

#[test]
fn conditions_say_what_is_an_element_and_unions_follow_one_another() {
    let mut session = session();
    let kernel = numbers(&mut session, "walk kernel_threads select pid");
    let of_tasks = "walk tasks where kthread and pid != 0 select pid order by pid";
    assert_eq!(kernel, numbers(&mut session, of_tasks));
    let others = numbers(&mut session, "walk user_processes select pid");
    assert!(others.contains(&vec![1]));
    let both = numbers(&mut session, "walk both_kinds select pid");
    assert_eq!(both, [kernel, others].concat());
    let optional =
        "walk tasks as t, threads_again of t as h optional where t.pid = 1 select h.tgid";
    assert!(!numbers(&mut session, optional).is_empty());
}

#[test]
fn plans_tell_of_the_walks_inside() {
    let mut session = session();
    let (status, listener) = ask(&mut session, "explain walk both_kinds select pid");
    assert_eq!(status, Status::Complete);
    let plan = listener.texts.concat();
    for part in [
        "one after the other, read at the same time: `kernel_threads`",
        "those that its `where` holds for",
        "for each of `pids` (xarray of `struct pid`",
    ] {
        assert!(plan.contains(part), "{plan}");
    }
}

#[test]
fn bits_that_are_set_are_the_cpus() {
    let mut session = session();
    let bits = numbers(
        &mut session,
        "walk bits(__cpu_possible_mask.bits, nr_cpu_ids) select index",
    );
    assert_eq!(bits, numbers(&mut session, "walk run_queues select cpu"));
}

#[test]
fn mistakes_name_file_and_place() {
    let mut session = session();
    for (walk, message, place) in [
        (
            "without_owner",
            "`threads` is a walk of a `struct task_struct`, and this one belongs to nobody",
            "walks.without_owner.through",
        ),
        (
            "through_nothing",
            "there is no walk `pidds`",
            "did you mean `pids`?",
        ),
        (
            "through_itself",
            "definitions use each other without end",
            "walks.through_itself.through",
        ),
        (
            "unlike",
            "`pids` is a walk of `struct pid`, and the whole of `struct task_struct`",
            "walks.unlike.union",
        ),
        (
            "wrong_pointer",
            "a pointer to a `struct task_struct` is wanted here, and this is `struct pid *`",
            "walks.wrong_pointer.follow.pointer",
        ),
        (
            "wrong_mask",
            "`struct list_head` is no array",
            "walks.wrong_mask.bits",
        ),
        (
            "wrong_condition",
            "`colour` is no column or member",
            "walks.wrong_condition.where",
        ),
        (
            "tasks_by_pid from init_task",
            "`tasks_by_pid` is made of other walks",
            "leave `from …` out",
        ),
    ] {
        let told = refusal(&mut session, &format!("walk {walk} select 1"));
        assert!(told.contains(message), "{walk}: {told}");
        assert!(told.contains(place), "{walk}: {told}");
    }
}
