use crate::json;

use super::{server::Fault, world::*};
use crate::{
    engine::{Command, Input, PageEvent, Request, Update},
    message::DeliveryStatus,
    store::{StoreError, Table},
    tabs::TabMessage,
};

fn row(content: &str, status: &str) -> (String, String) {
    (content.into(), status.into())
}

#[test]
fn a_message_is_persisted_then_sent_then_delivered() {
    let mut world = World::started();
    let op = world.send("hello");
    assert!(world.is_done(op));
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
    assert_eq!(world.outbox(), 0);
    world.server.ack(CLIENT, &json!([{"conversation_id": BOOKING, "delivered": 1, "read": 0}]));
    world.feed(Input::Timer);
    assert_eq!(world.announced(), ["sending", "sent", "delivered"]);
    assert_eq!(world.screen(), [row("hello", "delivered")]);
}

#[test]
fn what_is_shown_as_persisted_is_in_the_database() {
    let mut world = World::started();
    world.set_online(false);
    let op = world.send("hello");
    assert!(world.is_done(op));
    assert_eq!(world.outbox(), 1);
}

#[test]
fn offline_it_is_tried_at_once_and_after_1_2_and_4_seconds_then_it_has_failed() {
    let mut world = World::started();
    world.server.always = Some(Fault::Refuse);
    let start = world.now.mono;
    world.send("hello");
    world.run_for(7_000);
    let attempts: Vec<u64> =
        world.server.requests.iter().filter(|(_, name)| name == "chat_send").map(|(at, _)| at - start).collect();
    assert_eq!(attempts, [0, 1_000, 3_000, 7_000]);
    assert_eq!(world.screen(), [row("hello", "failed")]);
    assert_eq!(world.announced(), ["sending", "failed"]);
    assert_eq!(world.outbox(), 1, "failed is still durable");
}

#[test]
fn a_failed_message_goes_out_by_itself_when_the_connection_is_back() {
    let mut world = World::started();
    world.set_online(false);
    world.send("hello");
    world.run_for(10_000);
    assert_eq!(world.screen(), [row("hello", "failed")]);
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!(world.screen(), [row("hello", "sent")]);
    assert_eq!(world.connections().last(), Some(&"connected"));
}

#[test]
fn without_resumption_a_failed_message_waits_for_retry() {
    let mut world = World::with(|config| config.resume_on_reconnect = false);
    world.start();
    world.set_online(false);
    world.send("hello");
    world.run_for(10_000);
    world.set_online(true);
    world.run_for(600_000);
    assert_eq!(world.screen(), [row("hello", "failed")]);
    world.command(Command::Retry { op: 99, conversation_id: Some(BOOKING.into()) });
    world.run_for(1_000);
    assert!(world.is_done(99));
    assert_eq!(world.screen(), [row("hello", "sent")]);
}

#[test]
fn messages_behind_a_parked_one_fail_with_it_and_keep_their_order() {
    let mut world = World::started();
    world.set_online(false);
    for text in ["one", "two", "three"] {
        world.send(text);
    }
    world.run_for(10_000);
    assert_eq!(world.screen(), [row("one", "failed"), row("two", "failed"), row("three", "failed")]);
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!(world.server.contents(BOOKING), ["one", "two", "three"]);
}

#[test]
fn a_new_message_wakes_the_parked_ones_and_goes_behind_them() {
    let mut world = World::with(|config| config.resume_on_reconnect = false);
    world.start();
    world.server.always = Some(Fault::Refuse);
    world.send("one");
    world.run_for(10_000);
    world.server.always = None;
    world.send("two");
    assert_eq!(world.server.contents(BOOKING), ["one", "two"]);
}

#[test]
fn an_answer_that_is_lost_ten_times_makes_no_double() {
    let mut world = World::started();
    world.live = false;
    world.server.faults = vec![Fault::LoseAnswer; 10].into();
    world.send("hello");
    world.run_for(600_000);
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
    assert_eq!(world.screen(), [row("hello", "sent")]);
    assert_eq!(world.outbox(), 0);
}

#[test]
fn the_row_itself_is_evidence_when_the_answer_is_lost() {
    let mut world = World::started();
    world.server.always = Some(Fault::LoseAnswer);
    world.send("hello");
    assert_eq!(world.announced().last(), Some(&"sent"));
    world.run_for(60_000);
    assert_eq!(world.server.count("chat_send"), 1);
    assert_eq!((world.outbox(), world.screen()), (0, vec![row("hello", "sent")]));
}

#[test]
fn so_it_is_when_it_comes_before_the_answer_gets_lost() {
    let mut world = World::started();
    world.server.always = Some(Fault::LoseAnswer);
    world.live_first = true;
    let texts = ["one", "two", "three", "four", "five"];
    for text in texts {
        world.send(text);
        assert_eq!(world.outbox(), 0, "{text}");
    }
    assert_eq!(world.server.contents(BOOKING), texts);
    assert_eq!(world.server.count("chat_send"), texts.len());
    assert_eq!(world.announced(), ["sending", "sent"].repeat(texts.len()));
}

#[test]
fn a_row_of_somebody_else_under_our_id_is_no_evidence() {
    let mut world = World::started();
    world.server.always = Some(Fault::Refuse);
    world.send("hello");
    let id = world.store.table(Table::Outbox).next().expect("it waits")["id"].clone();
    let row = json!({"id": id, "conversation_id": BOOKING, "seq": 1, "kind": "message", "sender_id": CLIENT,
        "sender_role": "client", "content": "not ours", "created_at": "2026-11-23T06:30:00+00:00"});
    world.broadcast("message", &json!({"row": row, "conversation_id": BOOKING, "seq": 1}));
    assert_eq!(world.outbox(), 1);
}

#[test]
fn evidence_ends_the_pause_for_the_rows_behind_it() {
    let mut world = World::started();
    world.server.faults = vec![Fault::LoseAnswer].into();
    world.live = false;
    world.send("stored");
    world.send("behind it");
    assert_eq!(world.server.contents(BOOKING), ["stored"]);
    let row = world.server.rows[BOOKING][0].clone();
    world.live = true;
    world.broadcast("message", &json!({"row": row, "conversation_id": BOOKING}));
    assert_eq!(world.server.contents(BOOKING), ["stored", "behind it"]);
    assert_eq!(world.outbox(), 0);
}

#[test]
fn a_tab_that_dies_with_an_unsent_message_sends_it_when_it_starts_again() {
    let mut world = World::started();
    world.set_online(false);
    world.send("hello");
    world.online = true;
    world.restart();
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
    assert_eq!(world.outbox(), 0);
}

#[test]
fn a_refused_message_waits_for_a_person_and_the_next_one_goes() {
    let mut world = World::started();
    world.set_online(false);
    for text in ["one", "refuse me", "three"] {
        world.send(text);
    }
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!(world.server.contents(BOOKING), ["one", "three"]);
    assert!(world.screen().contains(&row("refuse me", "failed")));
    let requests = world.server.count("chat_send");
    world.run_for(300_000);
    assert_eq!(world.server.count("chat_send"), requests, "it is not tried again");
    assert_eq!(world.outbox(), 1);
}

#[test]
fn that_a_failed_message_is_refused_by_now_is_told_once_more() {
    let mut world = World::started();
    world.server.always = Some(Fault::Refuse);
    world.send("refuse me");
    world.run_for(7_000);
    world.server.always = None;
    world.run_for(60_000);
    let announced = |update: &Update| match update {
        Update::Delivery { status, failure, .. } => Some((*status, failure.as_ref().map(|failure| failure.retryable))),
        _ => None,
    };
    let announced: Vec<_> = world.updates.iter().filter_map(announced).collect();
    let [sending, failed] = [DeliveryStatus::Sending, DeliveryStatus::Failed];
    assert_eq!(announced, [(sending, None), (failed, Some(true)), (failed, Some(false))]);
}

#[test]
fn a_refused_message_stays_refused_after_a_restart_and_goes_to_the_end_when_it_is_retried() {
    let mut world = World::started();
    world.send("refuse me");
    world.restart();
    assert_eq!(world.screen(), [row("refuse me", "failed")]);
    world.send("after it");
    world.command(Command::Retry { op: 99, conversation_id: None });
    world.run_for(1_000);
    assert_eq!(world.server.contents(BOOKING), ["after it"]);
    assert_eq!(world.screen(), [row("after it", "sent"), row("refuse me", "failed")]);
}

#[test]
fn a_403_is_refused_after_one_try_with_a_fresh_token() {
    let mut world = World::started();
    let tokens = world.tokens_given;
    world.server.faults = vec![Fault::Status(403, "42501"); 2].into();
    world.send("hello");
    world.run_for(60_000);
    assert_eq!(world.server.count("chat_send"), 2);
    assert!(world.tokens_given > tokens);
    assert_eq!(world.screen(), [row("hello", "failed")]);
    world.send("next");
    assert_eq!(world.server.contents(BOOKING), ["next"]);
}

#[test]
fn an_expired_token_burns_no_attempt_and_fails_nothing() {
    let mut world = World::started();
    world.server.faults = vec![Fault::Status(401, "PGRST303"); 8].into();
    world.send("hello");
    world.run_for(120_000);
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
    assert!(!world.announced().contains(&"failed"));
}

#[test]
fn a_server_that_refuses_a_good_token_for_a_while_holds_nothing_up_for_long() {
    let mut world = World::started();
    world.keeps_token = true;
    world.server.faults = vec![Fault::Status(401, "PGRST303"); 2].into();
    world.send("hello");
    world.run_for(10_000);
    assert_eq!(world.connections().last(), Some(&"needs_auth"));
    world.run_for(110_000);
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
    assert_eq!(world.connections().last(), Some(&"connected"));
}

#[test]
fn whoever_signed_in_again_and_retries_does_not_wait() {
    let mut world = World::started();
    world.keeps_token = true;
    world.server.faults = vec![Fault::Status(401, "PGRST303")].into();
    world.send("hello");
    world.run_for(10_000);
    assert_eq!(world.server.contents(BOOKING).len(), 0);
    world.command(Command::Retry { op: 99, conversation_id: None });
    world.run_for(100);
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
}

#[test]
fn one_poisoned_row_does_not_take_the_others_with_it() {
    let mut world = World::started();
    world.server.poison = Some("poison");
    world.set_online(false);
    for text in ["one", "two", "poison", "four", "five"] {
        world.send(text);
    }
    world.set_online(true);
    world.run_for(30_000);
    assert_eq!(world.server.contents(BOOKING), ["one", "two", "four", "five"]);
    assert!(world.screen().contains(&row("poison", "failed")));
}

#[test]
fn a_rate_limit_pauses_the_outbox_and_burns_no_attempt() {
    let mut world = World::started();
    world.server.faults = vec![Fault::Status(429, ""); 6].into();
    world.send("hello");
    assert_eq!(world.server.count("chat_send"), 1);
    world.run_for(249);
    assert_eq!(world.server.count("chat_send"), 1);
    world.run_for(600_000);
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
    assert!(!world.announced().contains(&"failed"));
}

#[test]
fn a_server_that_takes_nothing_is_left_in_peace_though_it_answers_everything_else() {
    for (status, code) in [(503, ""), (429, ""), (404, "PGRST202")] {
        let mut world = World::started();
        world.server.always = Some(Fault::Status(status, code));
        world.send("hello");
        // What is read meanwhile says nothing of what is taken.
        for n in 0..100_u8 {
            world.receive(&format!("00000000-0000-7000-8000-0000000000{n:02x}"), "hi");
            world.run_for(6_000);
        }
        let sends = world.server.count("chat_send");
        assert!((10..=200).contains(&sends), "{sends} in ten minutes of {status}, with something to read each 6 s");
        world.run_for(600_000);
        let more = world.server.count("chat_send") - sends;
        assert!((1..=60).contains(&more), "{more} in ten more minutes of {status}");
        world.server.always = None;
        world.run_for(60_000);
        assert_eq!(world.pending(), 0);
    }
}

#[test]
fn a_missing_schema_is_said_aloud_and_nothing_is_lost() {
    let mut world = World::started();
    world.server.faults = vec![Fault::Status(404, "PGRST202")].into();
    world.send("hello");
    assert_eq!(world.screen(), [row("hello", "failed")]);
    assert!(world.updates.iter().any(|update| matches!(update,
        crate::engine::Update::Problem { conversation_id: None, error: Some(error) } if error.code == "schema_missing")));
    world.run_for(120_000);
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
}

#[test]
fn a_conversation_that_is_still_being_created_gets_its_message_later() {
    let mut world = World::started();
    world.send_to("b2", "early", json!({}));
    assert_eq!(world.outbox(), 1);
    world.server.rows.insert("b2".into(), Vec::new());
    world.server.members.insert("b2".into(), world.server.members[BOOKING].clone());
    world.run_for(10_000);
    assert_eq!(world.server.contents("b2"), ["early"]);
}

#[test]
fn bad_input_is_rejected_with_a_code_and_nothing_is_kept() {
    let mut world = World::started();
    let (empty, nul) = (world.send("  "), world.send("a\0b"));
    let large = world.send(&"x".repeat(1_000_000));
    let lost = world.send_to("", "hello", json!({}));
    let odd = world.send_to(BOOKING, "hello", json!("not an object"));
    let codes = [empty, large, nul, lost, odd].map(|op| world.failure_of(op).unwrap_or_default());
    assert_eq!(
        codes,
        ["empty_message", "message_too_large", "invalid_text", "invalid_conversation", "invalid_metadata"]
    );
    assert_eq!((world.outbox(), world.screen().len()), (0, 0));
}

#[test]
fn without_a_database_nothing_is_accepted_and_messages_are_still_read() {
    let mut world = World::new();
    world.has_database = false;
    world.server.post(BOOKING, CLIENT, "01890000-0000-7000-8000-00000000000a", "hi");
    world.start();
    let op = world.send("hello");
    assert_eq!(world.failure_of(op).as_deref(), Some("storage_unavailable"));
    assert_eq!(world.screen(), [row("hi", "-")]);
}

#[test]
fn a_message_that_the_database_does_not_take_is_not_accepted() {
    for (fault, code) in [(StoreError::Full, "storage_full"), (StoreError::Failed("aborted".into()), "storage_failed")]
    {
        let mut world = World::started();
        world.store_fault = Some(fault);
        let op = world.send("hello");
        assert_eq!(world.failure_of(op).as_deref(), Some(code));
        assert_eq!(world.server.contents(BOOKING).len(), 0);
    }
}

#[test]
fn nothing_is_sent_under_another_users_name() {
    let mut world = World::started();
    world.set_online(false);
    world.send("of the operator");
    world.signed_in = Some(CLIENT);
    world.set_online(true);
    world.run_for(120_000);
    assert_eq!(world.server.contents(BOOKING).len(), 0);
    assert_eq!(world.connections().last(), Some(&"needs_auth"));
    assert_eq!(world.outbox(), 1);
    world.signed_in = Some(OPERATOR);
    world.run_for(120_000);
    assert_eq!(world.server.contents(BOOKING), ["of the operator"]);
}

#[test]
fn before_somebody_is_signed_in_a_message_is_not_accepted() {
    let mut world = World::new();
    world.signed_in = None;
    world.start();
    let op = world.send("hello");
    assert_eq!(world.failure_of(op).as_deref(), Some("needs_auth"));
    world.signed_in = Some(OPERATOR);
    world.run_for(60_000);
    world.send("now");
    assert_eq!(world.server.contents(BOOKING), ["now"]);
}

#[test]
fn a_tab_that_follows_persists_and_leaves_the_sending_to_the_leader() {
    let mut world = World::new();
    world.lock_is_free = false;
    world.start();
    let op = world.send("hello");
    assert!(world.is_done(op));
    assert_eq!((world.outbox(), world.server.contents(BOOKING).len()), (1, 0));
    assert!(world.said.contains(&TabMessage::Enqueued));
    assert_eq!(world.screen(), [row("hello", "sending")]);
    world.feed(Input::LockGranted { exclusive: true });
    world.run_for(1_000);
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
}

#[test]
fn a_leader_finds_rows_of_another_tab_without_being_told() {
    let mut world = World::started();
    let mut other = World::new();
    other.store = world.store.clone();
    other.lock_is_free = false;
    other.start();
    other.send("from the other tab");
    world.store = other.store;
    world.run_for(5_000);
    assert_eq!(world.server.contents(BOOKING), ["from the other tab"]);
}

#[test]
fn a_robbed_leader_writes_nothing_more_and_queues_for_the_lead_again() {
    let mut world = World::started();
    world
        .store
        .run(&crate::store::Transaction::strict(vec![crate::store::Operation::RaiseGeneration { first: 1 }]))
        .unwrap();
    world.lock_is_free = false;
    world.send("hello");
    assert_eq!(world.server.contents(BOOKING).len(), 0, "it may not even build a request");
    assert_eq!(world.outbox(), 1);
    world.feed(Input::LockGranted { exclusive: true });
    world.run_for(1_000);
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
}

#[test]
fn a_page_that_is_frozen_gives_up_the_lock_and_takes_it_again_when_it_thaws() {
    let mut world = World::started();
    let generation = world.store.generation();
    world.feed(Input::Page(PageEvent::Frozen));
    world.send("while frozen");
    assert_eq!(world.server.contents(BOOKING).len(), 0);
    world.feed(Input::Page(PageEvent::Resumed));
    world.run_for(1_000);
    assert_eq!(world.store.generation(), generation + 1);
    assert_eq!(world.server.contents(BOOKING), ["while frozen"]);
}

#[test]
fn cleanup_keeps_what_is_unsent_and_says_how_much_and_discard_deletes_it() {
    for (discard, left) in [(false, 1), (true, 0)] {
        let mut world = World::started();
        world.set_online(false);
        world.send("hello");
        world.command(Command::Shutdown { op: 50, discard });
        assert!(world.is_done(50));
        assert_eq!(world.store.table(Table::Outbox).count(), left);
        assert_eq!(world.engine.next_deadline(), None, "quiet after the end");
        let late = world.send("too late");
        assert_eq!(world.failure_of(late).as_deref(), Some("client_closed"));
    }
}

#[test]
fn a_message_stays_in_sight_while_the_lead_changes_hands() {
    let mut world = World::with(|config| config.user_id = Some(OPERATOR.into()));
    world.signed_in = None;
    world.start();
    world.send("hello");
    world.feed(Input::Page(PageEvent::Frozen));
    world.feed(Input::Page(PageEvent::Resumed));
    world.run_for(1_000);
    let pending: Vec<usize> = world
        .updates
        .iter()
        .filter_map(
            |update| if let crate::engine::Update::Pending { total, .. } = update { Some(*total) } else { None },
        )
        .collect();
    assert_eq!(pending.last(), Some(&1), "{pending:?}");
    assert!(!pending[1..].contains(&0), "{pending:?}");
    assert_eq!(world.screen().len(), 1);
}

#[test]
fn a_database_that_refuses_everything_is_asked_again_at_a_slow_pace() {
    let mut world = World::new();
    world.store_fault = Some(StoreError::Full);
    world.start();
    world.run_for(60_000);
    world.store_fault = None;
    world.run_for(6_000);
    world.send("hello");
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
}

#[test]
fn an_outbox_that_cannot_be_read_is_read_again_at_a_slow_pace() {
    let mut world = World::started();
    world.reads_fail = true;
    world.send("hello");
    world.run_for(60_000);
    assert_eq!(world.server.contents(BOOKING).len(), 0);
    world.reads_fail = false;
    world.run_for(6_000);
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
}

#[test]
fn a_tab_that_follows_hears_from_the_leader_that_its_message_is_sent() {
    let mut follower = World::new();
    follower.lock_is_free = false;
    follower.start();
    follower.send("hello");
    let mut leader = World::new();
    leader.store = follower.store.clone();
    leader.start();
    leader.run_for(1_000);
    let sent: Vec<_> = leader.said.iter().filter(|said| matches!(said, TabMessage::Sent { .. })).cloned().collect();
    assert_eq!(sent.len(), 1);
    follower.store = leader.store;
    for told in [&sent[0], &sent[0]] {
        follower.feed(Input::Heard(told.clone()));
    }
    assert_eq!(follower.announced(), ["sending", "sent"]);
}

#[test]
fn a_tab_that_stepped_aside_asks_on_who_is_signed_in_also_when_the_app_could_not_say() {
    let mut world = World::started();
    world.signed_in = Some(CLIENT);
    world.run_for(31_000);
    world.send("hello");
    world.provider_throws = true;
    world.run_for(60_000);
    world.provider_throws = false;
    world.signed_in = Some(OPERATOR);
    world.run_for(60_000);
    assert_eq!(world.server.contents(BOOKING), ["hello"]);
}

#[test]
fn a_tab_that_stepped_aside_for_what_the_app_said_late_asks_on() {
    let mut world = World::started();
    world.run_for(1_000);
    let request = world.engine.expect(Request::Token);
    world.feed(Input::Token { request, result: Ok(Some(jwt(CLIENT, 1))) });
    assert_eq!(world.connections().last(), Some(&"needs_auth"));
    world.run_for(5_000);
    assert_eq!(world.connections().last(), Some(&"connected"));
}
