use super::{Booking, Ledger, Made, Shared, Spares, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn entry(ledger: &Ledger, bytes: u64) -> Arc<Booking> {
    Arc::new(ledger.book(bytes))
}

#[test]
fn the_least_recently_used_goes_first() {
    let store: Store<u32, Booking> = Store::new(100, Ledger::default(), Spares::none());
    for key in 0..4 {
        store.put(key, entry(store.ledger(), 25));
    }
    assert!(store.get(&0).is_some());
    store.put(4, entry(store.ledger(), 25));
    assert_eq!((store.ledger().bytes(), store.len()), (100, 4));
    assert!(store.get(&1).is_none() && store.get(&0).is_some());
}

#[test]
fn what_is_in_use_stays_and_the_rest_makes_room() {
    let store: Store<u32, Booking> = Store::new(60, Ledger::default(), Spares::none());
    let used = store.put(0, entry(store.ledger(), 50));
    store.put(1, entry(store.ledger(), 50));
    // The new one was in use only while it was put in.
    store.trim();
    assert!(store.get(&0).is_some() && store.get(&1).is_none());
    drop(used);
    store.set_budget(0);
    assert_eq!((store.ledger().bytes(), store.len()), (0, 0));
}

/// The smallest of all limits holds, for as long as what it is for runs, and leaves the budget alone.
#[test]
fn limits_hold_while_something_runs() {
    let store: Store<u32, Booking> = Store::new(100, Ledger::default(), Spares::none());
    let filled = || {
        (0..20).for_each(|key| drop(store.put(key, entry(store.ledger(), 10))));
        store.ledger().bytes()
    };
    store.while_keeping(50, || {
        assert!(filled() <= 60);
        store.while_keeping(20, || assert!(filled() <= 30));
        // Whoever sets the budget meanwhile sets it for later.
        store.set_budget(90);
        assert!((40..=60).contains(&filled()) && store.budget() == 90);
    });
    let panicked =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.while_keeping(0, || panic!("in between"))));
    assert!(panicked.is_err());
    assert!((80..=100).contains(&filled()));
}

#[test]
fn many_small_things_count() {
    let store: Store<u32, Booking> = Store::new(1000, Ledger::default(), Spares::none());
    for key in 0..10_000 {
        store.put(key, entry(store.ledger(), 10));
        assert!(store.ledger().bytes() <= 1010);
    }
}

#[test]
fn clearing_leaves_what_is_in_use() {
    let store: Store<u32, Booking> = Store::new(1000, Ledger::default(), Spares::none());
    let used = store.put(0, entry(store.ledger(), 10));
    store.put(1, entry(store.ledger(), 10));
    store.clear();
    assert_eq!(store.ledger().bytes(), 10);
    drop(used);
    store.clear();
    assert_eq!(store.ledger().bytes(), 0);
}

#[test]
fn spares_go_before_things_and_after_those_that_use_them() {
    let ledger = Ledger::default();
    let spares = Arc::new(std::sync::Mutex::new(vec![ledger.book(30)]));
    let shelf = spares.clone();
    let store: Store<u32, Booking> =
        Store::new(60, ledger.clone(), Spares::new(move || shelf.lock().unwrap().pop().is_some()));
    store.put(0, entry(&ledger, 40));
    assert_eq!((ledger.bytes(), store.len()), (40, 1));
    spares.lock().unwrap().push(ledger.book(10));
    store.clear();
    assert_eq!((ledger.bytes(), store.len()), (0, 0));
}

#[test]
fn shared_things_go_with_their_last_handle() {
    let ledger = Ledger::default();
    let shared: Shared<u32, Booking> = Shared::default();
    let a = shared.put(7, entry(&ledger, 5));
    let b = shared.put(7, entry(&ledger, 5));
    assert!(Arc::ptr_eq(&a, &b));
    assert_eq!(ledger.bytes(), 5);
    drop((a, b));
    assert!(shared.get(&7).is_none());
    assert_eq!(ledger.bytes(), 0);
}

#[test]
fn a_made_thing_may_be_asked_for_while_it_is_made() {
    let made = Made::new();
    let count = AtomicUsize::new(0);
    let make = || count.fetch_add(1, Ordering::Relaxed);
    let value = *made.get_or(|| {
        made.get_or(make);
        make()
    });
    assert_eq!((value, *made.get_or(make)), (0, 0));
}
