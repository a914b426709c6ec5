//! A worker without a page, after the last tab.

use super::{browser::Browser, server::Fault, world::*};
use crate::{
    engine::{Command, Input, PageEvent, Update},
    store::Table,
    tabs::{Role, TabMessage},
};

/// What the worker said when it was over.
fn left(browser: &Browser, nth: usize) -> Vec<usize> {
    let left = |update: &Update| if let Update::Drained { left } = update { Some(*left) } else { None };
    browser.tabs[nth].world.updates.iter().filter_map(left).collect()
}

/// The last tab is closed without a network, with these messages unsent.
fn left_behind(texts: &[&str]) -> Browser {
    let mut browser = Browser::with_tabs(1);
    browser.at(0, |tab| tab.set_online(false));
    for text in texts {
        browser.at(0, |tab| tab.send(text));
    }
    browser.close_tab(0);
    browser
}

#[test]
fn a_worker_sends_what_the_last_tab_left_in_its_order_and_is_over() {
    let mut browser = left_behind(&["one", "two"]);
    let before = browser.server.requests.len();
    let worker = browser.open_worker();
    assert_eq!(browser.contents(), ["one", "two"]);
    assert_eq!(browser.store.table(Table::Outbox).count(), 0);
    assert_eq!(left(&browser, worker), [0]);
    browser.run_for(20_000);
    let asked: Vec<&String> = browser.server.requests[before..].iter().map(|(_, name)| name).collect();
    assert_eq!(asked, ["chat_send"], "it reads nothing and acknowledges nothing");
    assert_eq!(browser.tabs[worker].world.connections(), ["connecting"], "it opens no socket");
    browser.close_tab(worker);
    let tab = browser.open_tab();
    assert_eq!(browser.leader(), Some(tab));
    assert_eq!(browser.tabs[tab].world.screen().len(), 2);
}

#[test]
fn where_a_tab_leads_a_worker_does_nothing() {
    for locks in [true, false] {
        let mut browser = if locks { Browser::with_tabs(1) } else { Browser::without_locks(1) };
        browser.server.always = Some(Fault::Refuse);
        browser.at(0, |tab| tab.send("the tab's"));
        let sends = browser.server.count("chat_send");
        let worker = browser.open_worker();
        assert_eq!(left(&browser, worker), [0], "it is in good hands");
        assert_eq!((browser.leader(), browser.leads()), (Some(0), 1));
        assert_eq!(browser.server.count("chat_send"), sends);
        browser.server.always = None;
        browser.run_for(30_000);
        assert_eq!((browser.leader(), browser.leads(), browser.contents()), (Some(0), 1, vec!["the tab's"]));
    }
}

#[test]
fn a_tab_that_is_opened_meanwhile_gets_the_lead_once_the_answer_is_there() {
    let mut browser = left_behind(&["one"]);
    let worker = browser.add_worker(|world| world.holds_sends = true);
    let tab = browser.open_tab();
    assert!(browser.role(worker).generation().is_some(), "its request is under way");
    browser.at(worker, World::let_go);
    assert_eq!((left(&browser, worker), browser.leader()), (vec![0], Some(tab)));
    assert_eq!(browser.contents(), ["one"]);
    assert_eq!(browser.status(tab), "connected");
    assert_eq!(browser.said(worker, |said| matches!(said, TabMessage::Status(_))), 0, "nobody follows a worker");
    browser.run_for(10_000);
    assert_eq!((browser.role(worker), browser.leader()), (Role::Aside, Some(tab)));
}

#[test]
fn what_cannot_be_sent_now_is_left_for_another_time_and_what_is_refused_for_a_person() {
    for (fault, expected) in [(Fault::Refuse, 2), (Fault::Status(400, "23514"), 0)] {
        let mut browser = left_behind(&["one", "two"]);
        browser.server.always = Some(fault.clone());
        let worker = browser.open_worker();
        browser.run_for(20_000);
        assert_eq!(left(&browser, worker), [expected], "{fault:?}");
        assert_eq!(browser.store.table(Table::Outbox).count(), 2);
    }
}

#[test]
fn a_worker_whose_token_is_refused_is_over_when_it_gets_no_other() {
    let mut browser = left_behind(&["one"]);
    browser.server.always = Some(Fault::Status(401, "PGRST301"));
    let worker = browser.add_worker(|world| world.keeps_token = true);
    browser.at(worker, |tab| {
        tab.signed_in = None;
        tab.feed(Input::Timer);
    });
    browser.run_for(20_000);
    assert_eq!(left(&browser, worker), [1]);
    assert_eq!(browser.leader(), None, "it holds nothing up");
}

#[test]
fn a_worker_that_is_over_does_not_begin_anew() {
    let mut browser = left_behind(&[]);
    let worker = browser.open_worker();
    assert_eq!(left(&browser, worker), [0]);
    browser.at(worker, |tab| tab.feed(Input::LockLost));
    browser.page(worker, PageEvent::Resumed);
    browser.at(worker, |tab| tab.feed(Input::StoreLost { outdated: false }));
    browser.run_for(20_000);
    assert_eq!((browser.role(worker), left(&browser, worker).len()), (Role::Aside, 1));
    browser.command(worker, Command::Shutdown { op: 9, discard: false });
    assert!(browser.tabs[worker].world.is_done(9));
}
