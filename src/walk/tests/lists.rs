//! `struct list_head` rings: honest, broken at one end, knotted, lying.

use super::*;

const HEAD: u64 = 0x800;
/// Bytes from an element's start to its link.
const LINK: u64 = 0x58;

fn list() -> Container {
    Container::List(List {
        head: direct(HEAD),
        link: LINK,
    })
}

/// A ring through these elements, as `list_add_tail` makes it.
fn ring(elements: &[u64]) -> SparseMemory {
    let mut memory = blank(elements.iter().copied().chain([HEAD]));
    let links: Vec<u64> = std::iter::once(HEAD)
        .chain(elements.iter().map(|element| element + LINK))
        .collect();
    for (number, link) in links.iter().enumerate() {
        let next = links[(number + 1) % links.len()];
        point(&mut memory, *link, next);
        point(&mut memory, next + 8, *link);
    }
    memory
}

fn virtuals(elements: &[u64]) -> Vec<u64> {
    elements.iter().map(|element| DIRECT + element).collect()
}

const FIVE: [u64; 5] = [0x5000, 0x2000, 0x9100, 0x3300, 0x7700];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_elements_in_order(elements in places(), order in orders()) {
        let memory = FakeMemory::new(ring(&elements), order);
        let walked = walk_with(list(), memory, Budget::default(), usize::MAX);
        prop_assert_eq!(walked.addresses(), virtuals(&elements));
        prop_assert_eq!(&walked.end, &End::Complete);
        prop_assert_eq!(walked.doubtful(), Vec::<usize>::new());
        prop_assert!(walked.elements.iter().map(|element| element.index).eq(0..elements.len() as u64));
        prop_assert!(walked.cost.rounds as usize <= elements.len() + 1);
    }

    #[test]
    fn a_walk_waits_for_a_predictor_that_knows_all_elements(elements in places(), order in orders()) {
        let mut memory = ring(&elements);
        let index = 0x20_0000;
        for (number, element) in (0..).zip(&elements) {
            memory.insert(PhysAddr::new(index + number * 4096), &[0; 4096]);
            put(&mut memory, index + number * 4096, DIRECT + element);
        }
        let engine = Engine::new(Box::new(FakeMemory::new(memory, order)));
        let entries = elements.len() as u64;
        let (end, cost) = engine.run(Budget::default(), move |reader| async move {
            // All entries of the index at once: one round. All elements: another.
            reader.predict(|reader| async move {
                let expectation = Rc::new(reader.expect());
                for number in 0..entries {
                    let expectation = Rc::clone(&expectation);
                    reader.predict(|reader| async move {
                        let entry = direct(index + number * 4096);
                        if let Ok(element) = reader.pointer(&space(), entry).await {
                            reader.prefetch(&space(), element, 0x80);
                        }
                        drop(expectation);
                    });
                }
            });
            let prefetching = reader.clone();
            let mut sink = async |element: Element| {
                prefetching.prefetch(&space(), element.address, 8);
                ControlFlow::Continue(())
            };
            List { head: direct(HEAD), link: LINK }.walk(&reader, &space(), &mut sink).await
        }).unwrap();
        prop_assert_eq!(end, End::Complete);
        prop_assert!(cost.rounds <= 2, "{} rounds", cost.rounds);
    }

    #[test]
    fn a_prediction_names_the_same_elements_backwards(elements in places()) {
        let engine = Engine::new(Box::new(FakeMemory::new(ring(&elements), Order::AtOnce)));
        let (told, _) = engine.run(Budget::default(), |reader| async move {
            let mut told = Vec::new();
            let list = List { head: direct(HEAD), link: LINK };
            list.predict(&reader, &space(), |address| told.push(address.get())).await;
            told
        }).unwrap();
        prop_assert_eq!(told.into_iter().rev().collect::<Vec<_>>(), virtuals(&elements));
    }

    /// A cycle back to any element is found as soon as it closes.
    #[test]
    fn a_cycle_of_any_length_ends(from in 0..5_usize, to in 0..5_usize) {
        prop_assume!(to <= from);
        let mut memory = ring(&FIVE);
        point(&mut memory, FIVE[from] + LINK, FIVE[to] + LINK);
        let walked = walk(list(), &memory);
        prop_assert_eq!(&walked.end, &End::Stopped(Problem::Cycle(direct(FIVE[to] + LINK))));
        prop_assert_eq!(walked.addresses(), virtuals(&FIVE), "the rest is found from the end");
        prop_assert_eq!(walked.doubtful(), (from + 1..5).collect::<Vec<_>>());
        prop_assert!(walked.cost.reads <= 12);
    }
}

#[test]
fn a_sink_that_has_enough_ends_the_walk() {
    let memory = FakeMemory::new(ring(&FIVE), Order::AtOnce);
    let walked = walk_with(list(), memory, Budget::default(), 2);
    assert_eq!(
        (walked.addresses(), walked.end),
        (virtuals(&FIVE[..2]), End::Enough)
    );
    assert!(walked.cost.reads <= 2);
}

#[test]
fn wild_links_end_the_way_forward_and_the_rest_is_found_from_the_end() {
    for wild in WILD {
        let mut memory = ring(&FIVE);
        put(&mut memory, FIVE[1] + LINK, wild);
        let walked = walk(list(), &memory);
        let problem = Problem::WildPointer {
            at: direct(FIVE[1] + LINK),
            pointer: VirtAddr::new(wild),
        };
        assert_eq!(walked.end, End::Stopped(problem));
        assert_eq!(
            (walked.addresses(), walked.doubtful()),
            (virtuals(&FIVE), vec![2, 3, 4])
        );
    }
}

#[test]
fn a_head_that_is_wild_or_unreadable_is_said() {
    for wild in WILD {
        let mut memory = ring(&FIVE);
        put(&mut memory, HEAD, wild);
        let walked = walk(list(), &memory);
        assert!(
            matches!(walked.end, End::Stopped(Problem::WildPointer { .. })),
            "{wild:#x}: {}",
            walked.end
        );
        assert_eq!(
            (walked.addresses(), walked.doubtful().len()),
            (virtuals(&FIVE), 5)
        );
    }
    let walked = walk_without(list(), &ring(&FIVE), &[HEAD]);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(walked.elements, []);
}

#[test]
fn an_entry_that_was_just_removed_is_named_as_such() {
    let mut memory = ring(&FIVE);
    put(&mut memory, FIVE[2] + LINK, 0xdead_0000_0000_0100);
    put(&mut memory, FIVE[2] + LINK + 8, 0xdead_0000_0000_0122);
    let walked = walk(list(), &memory);
    assert_eq!(
        walked.end,
        End::Stopped(Problem::Poisoned(direct(FIVE[2] + LINK)))
    );
    assert_eq!(
        (walked.addresses(), walked.doubtful()),
        (virtuals(&FIVE), vec![2, 3, 4])
    );
}

#[test]
fn an_element_whose_link_cannot_be_read_is_listed_and_the_rest_too() {
    let walked = walk_without(list(), &ring(&FIVE), &[FIVE[1] + LINK]);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(
        (walked.addresses(), walked.doubtful()),
        (virtuals(&FIVE), vec![2, 3, 4])
    );
}

#[test]
fn broken_in_two_places_the_middle_is_missing_and_the_answer_says_so() {
    let mut memory = ring(&FIVE);
    put(&mut memory, FIVE[0] + LINK, 0);
    put(&mut memory, FIVE[3] + LINK + 8, 0);
    let walked = walk(list(), &memory);
    assert!(matches!(
        walked.end,
        End::Stopped(Problem::WildPointer { .. })
    ));
    assert_eq!(walked.addresses(), virtuals(&[FIVE[0], FIVE[3], FIVE[4]]));
    assert_eq!(walked.doubtful(), vec![1, 2]);
}

#[test]
fn a_wrong_back_link_marks_its_element_only() {
    let mut memory = ring(&FIVE);
    point(&mut memory, FIVE[3] + LINK + 8, FIVE[1] + LINK);
    let walked = walk(list(), &memory);
    assert_eq!(
        (walked.addresses(), walked.end.clone(), walked.doubtful()),
        (virtuals(&FIVE), End::Complete, vec![3])
    );
}

#[test]
fn a_list_that_runs_into_another_one_ends() {
    const OTHER: u64 = 0xa00;
    let mut memory = ring(&FIVE);
    let others = [0xb_0000, 0xc_0000];
    let links = [OTHER, others[0] + LINK, others[1] + LINK];
    for page in others {
        memory.insert(PhysAddr::new(page), &[0; 4096]);
    }
    for number in 0..3 {
        point(&mut memory, links[number], links[(number + 1) % 3]);
        point(&mut memory, links[(number + 1) % 3] + 8, links[number]);
    }
    point(&mut memory, FIVE[1] + LINK, links[1]);
    let walked = walk(list(), &memory);
    assert_eq!(walked.end, End::Stopped(Problem::Cycle(direct(links[1]))));
    // Two honest ones, the other list's ring with its head taken for an element, and the honest rest.
    assert_eq!(walked.elements.len(), 2 + 3 + 3);
    assert_eq!(walked.doubtful(), vec![2, 5, 6, 7]);
}

#[test]
fn a_list_of_itself_and_an_empty_one() {
    assert_eq!(walk(list(), &ring(&[])).end, End::Complete);
    let mut memory = ring(&FIVE[..1]);
    point(&mut memory, FIVE[0] + LINK, FIVE[0] + LINK);
    let walked = walk(list(), &memory);
    assert_eq!(
        walked.end,
        End::Stopped(Problem::Cycle(direct(FIVE[0] + LINK)))
    );
    assert_eq!(walked.addresses(), virtuals(&FIVE[..1]));
}

#[test]
fn a_budget_that_runs_out_ends_the_walk_with_what_it_has() {
    let elements: Vec<u64> = (1..500).map(|number| number * 4096).collect();
    let memory = FakeMemory::new(ring(&elements), Order::OneByOne);
    let budget = Budget {
        max_reads: 100,
        ..Budget::default()
    };
    let walked = walk_with(list(), memory, budget, usize::MAX);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(
        (walked.addresses(), walked.cost.reads),
        (virtuals(&elements[..100]), 100)
    );
}
