//! The demo's kernel over a real adapter: both ways see the same processes.

use super::*;
use crate::session::demo;

fn demo_subject() -> Subject<'static> {
    Subject {
        memory: &demo::memory,
        profile: Profile::BuiltIn(demo::profile().unwrap()),
    }
}

fn options(last: u8) -> BenchOptions {
    BenchOptions {
        listen: Ipv4Addr::new(127, 0, 90, last),
        local: Ipv4Addr::new(127, 0, 91, last),
        delays: vec![Duration::ZERO, Duration::from_micros(50)],
        repeat: 2,
        bulk: 0,
    }
}

#[test]
fn the_serial_list_takes_six_reads_a_process_and_three() {
    let mut said = Vec::new();
    let outcome = run(&demo_subject(), &options(1), &mut |text| {
        said.push(text.to_owned());
    });
    let outcome = outcome.unwrap();
    assert!(outcome.banner.starts_with("Linux version "));
    assert_eq!(outcome.delays.len(), 2);
    for at in &outcome.delays {
        assert_eq!(at.serial.reads, 6 * at.serial.rows + 3);
        assert_eq!(at.serial.rounds, at.serial.reads);
        assert_eq!(at.serial.bytes, 68 * at.serial.rows + 40);
        assert_eq!(at.serial.rows + at.missed, at.query.rows);
        assert!(at.query.rounds < at.serial.rounds / 10, "{at:?}");
        assert_eq!(
            (at.query.rows, at.query.runs, at.serial.runs),
            (at.again.rows, 2, 2)
        );
        assert!(at.locate.reads > 0 && at.locate.rounds > 0);
    }
    assert_eq!(outcome.delays[1].delay, Duration::from_micros(50));
    assert!(said.iter().any(|text| text.contains("one read at a time")));
}

#[test]
fn the_serial_list_is_the_process_tree() {
    let options = options(2);
    let adapter = AdapterOptions {
        listen: options.listen,
        ..AdapterOptions::default()
    };
    let _adapter = Adapter::spawn(&adapter, demo::memory().unwrap()).unwrap();
    let subject = demo_subject();
    let profile = subject.profile.open().unwrap();
    let bench = Bench {
        link: Link {
            remote: options.listen,
            local: options.local,
            requester: AdapterOptions::USUAL_REQUESTER,
        },
        profile: &profile,
        subject: &subject.profile,
        repeat: 1,
        delay: Duration::ZERO,
    };
    let (kernel, _) = bench.locate().unwrap();
    let list = ProcessList::new(&profile, &kernel).unwrap();
    let (seen, _) = bench.serial(&list).unwrap();
    let mut conversation = Conversation::open(&bench.link, &subject.profile).unwrap();
    let tree = conversation.list("process_tree", &profile).unwrap();
    // The tree has the children of all threads: without those that it alone has, it is the same list in the same order.
    let common: Vec<Task> = tree
        .into_iter()
        .filter(|task| seen.contains(task))
        .collect();
    assert_eq!(common, seen);
}

#[test]
fn both_ways_read_the_same_ram_in_bulk() {
    let options = options(4);
    let mut content = crate::memory::SparseMemory::new();
    let bytes: Vec<u8> = (0..0x1_8000_u32).map(|at| (at / 5) as u8).collect();
    content.insert(crate::addr::PhysAddr::new(0x10_0000), &bytes);
    let adapter = AdapterOptions {
        listen: options.listen,
        ..AdapterOptions::default()
    };
    let memory = crate::memory::Immediate::new(content);
    let _adapter = Adapter::spawn(&adapter, memory).unwrap();
    let link = Link {
        remote: options.listen,
        local: options.local,
        requester: AdapterOptions::USUAL_REQUESTER,
    };
    let start = crate::addr::PhysAddr::new(0x10_0000);
    let ram = crate::addr::PhysRange::of_length(start, 0x1_8000).unwrap();
    let found = bulk::bulk(&link, &[ram], 0x1_0000, 1).unwrap();
    assert_eq!((found.single.reads, found.single.bytes), (128, 0x1_0000));
    assert_eq!((found.window.reads, found.window.bytes), (128, 0x1_0000));
    assert_eq!(
        (found.small.reads, found.small_few_tags.reads),
        (1024, 1024)
    );
    assert_eq!(
        (found.window.failed, found.small.failed, found.window.runs),
        (0, 0, 1)
    );
    assert!(found.window.bytes_a_second() > 0.0 && found.small.reads_a_second() > 0.0);
}

#[test]
fn lists_that_differ_are_refused() {
    let task = |pid| Task {
        physical: crate::addr::PhysAddr::new(0x1000),
        pid,
        state: 0,
        comm: b"init".to_vec(),
    };
    assert_eq!(missed(&[task(1)], &[task(1), task(2)]).unwrap(), 1);
    let error = missed(&[task(1), task(3)], &[task(1), task(2)]).unwrap_err();
    assert_eq!(error.status(), Status::Failed);
    assert!(error.report().notes[0].contains("pid: 3"), "{error:?}");
    assert!(same_names(&[task(1)], &[(1, b"init".to_vec())]).is_ok());
    assert!(same_names(&[task(1)], &[(1, b"inix".to_vec())]).is_err());
}

#[test]
fn a_memory_without_the_kernel_is_no_target() {
    let empty = || -> Result<Box<dyn PhysicalMemory + Send>, Report> {
        let mut memory = crate::memory::SparseMemory::new();
        memory.insert(crate::addr::PhysAddr::new(0), &[0; 4096]);
        Ok(Box::new(crate::memory::Immediate::new(memory)))
    };
    let subject = Subject {
        memory: &empty,
        ..demo_subject()
    };
    let error = run(&subject, &options(3), &mut |_| {}).unwrap_err();
    assert_eq!(error.status(), Status::NoTarget, "{error}");
}
