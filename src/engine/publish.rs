//! What observers are told: only what has changed, and ticks only upwards.

use super::{Engine, Now, Phase, Problem, Shown, Update};
use crate::{
    health::ConnectionStatus,
    message::{DeliveryStatus, Failure, Kind, MessageId, StoredMessage},
    outbox::RowState,
    sync::SyncState,
    tabs::TabMessage,
    timeline::{self, Pending},
};

impl Engine {
    pub(super) fn publish(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        self.publish_outbox();
        for conversation_id in self.shown_ids() {
            self.publish_view(&conversation_id);
        }
        self.publish_status();
        self.publish_sync();
        self.publish_people();
        self.publish_list();
        if std::mem::take(&mut self.tell_changed) && self.role.generation().is_some() {
            self.tell(TabMessage::Changed);
        }
    }

    pub(super) fn publish_outbox(&mut self) {
        let touched = self.outbox.take_touched();
        if touched.is_empty() {
            return;
        }
        self.tell_news(&touched);
        for conversation_id in touched {
            let rows: Vec<Pending> = self
                .outbox
                .rows(&conversation_id)
                .into_iter()
                .map(|(key, envelope, state)| Pending {
                    key,
                    envelope: envelope.clone(),
                    next_attempt_wall: state.next_attempt_at.map(|at| self.now.wall + at.saturating_sub(self.now.mono)),
                    state,
                })
                .collect();
            for Pending { envelope, state, .. } in rows.iter().filter(|row| row.envelope.kind == Kind::Message) {
                self.announce(&conversation_id, &envelope.id, state.status, state.retry_count, state.failure.clone());
            }
            // What a follower finds gone from the outbox it may find in the cache: it moves there, and leaves no screen.
            let moves = self.role.generation().is_none() && self.is_reading(&conversation_id);
            if let Some(Shown { timeline, .. }) = self.shown.get_mut(&conversation_id)
                && !(moves && timeline.would_lose(&rows))
            {
                timeline.set_pending(rows);
            }
        }
        let conversations = self.outbox.counts();
        if self.said_pending.as_ref() != Some(&conversations) {
            self.said_pending = Some(conversations.clone());
            self.updates.push_back(Update::Pending { total: self.outbox.len(), conversations });
        }
    }

    /// Followers show how the leader's rows are.
    fn tell_news(&mut self, conversations: &[String]) {
        if self.followed && self.role.generation().is_some() {
            let news: Vec<(u64, RowState)> = conversations.iter().flat_map(|id| self.outbox.news(id)).collect();
            if !news.is_empty() {
                self.tell_rows(false, news);
            }
        }
    }

    pub(super) fn tell_rows(&mut self, all: bool, mut rows: Vec<(u64, RowState)>) {
        let Some(generation) = self.role.generation() else { return };
        let Now { mono, wall } = self.now;
        for (_, state) in &mut rows {
            state.next_attempt_at = state.next_attempt_at.map(|at| wall + at.saturating_sub(mono));
        }
        self.tell(TabMessage::Rows { generation, all, rows });
    }

    pub(super) fn hear_rows(&mut self, all: bool, mut rows: Vec<(u64, RowState)>) {
        let Now { mono, wall } = self.now;
        for (_, state) in &mut rows {
            state.next_attempt_at = state.next_attempt_at.map(|at| mono.saturating_add(at.saturating_sub(wall)));
        }
        self.outbox.hear(rows, all);
    }

    fn publish_status(&mut self) {
        let leads = self.role.generation().is_some();
        self.health.set_reached(leads && self.sync.has_reached());
        if leads && self.sync.is_polling() {
            self.health.note_retrying();
        }
        let own = self.health.status();
        let believes_leader = !leads && is_reachable(own);
        let status = self.watch.status(self.now.mono).filter(|_| believes_leader).unwrap_or(own);
        if self.said_status != Some(status) {
            self.said_status = Some(status);
            self.updates.push_back(Update::Connection(status));
            if leads {
                self.tell_status();
            }
        }
    }

    fn publish_sync(&mut self) {
        let leads = self.role.generation().is_some();
        let status = self.said_status.unwrap_or(self.health.status());
        for (conversation_id, shown) in &mut self.shown {
            let state = if leads || !is_reachable(status) {
                self.sync.state(conversation_id, is_reachable(status))
            } else if status == ConnectionStatus::Connected && shown.loaded {
                SyncState::Live
            } else if status == ConnectionStatus::Reconnecting && shown.loaded && self.watch.polls() {
                SyncState::Polling
            } else {
                SyncState::CatchingUp
            };
            if shown.said_sync != Some(state) {
                shown.said_sync = Some(state);
                self.updates.push_back(Update::Sync { conversation_id: conversation_id.clone(), state });
            }
        }
    }

    /// Its first page is there; but while it shows nothing, and looks further down, it is loading.
    pub(super) fn loaded(&mut self, conversation_id: &str) {
        if self.shown.get(conversation_id).is_some_and(|shown| !shown.shows_nothing_yet()) {
            self.first_page_there(conversation_id);
        }
    }

    pub(super) fn first_page_there(&mut self, conversation_id: &str) {
        let Some(shown) = self.shown.get_mut(conversation_id).filter(|shown| !shown.loaded) else { return };
        shown.loaded = true;
        // The first page comes before the word that it is there.
        self.publish_view(conversation_id);
        self.updates.push_back(Update::Loaded { conversation_id: conversation_id.to_owned() });
    }

    /// What stands on the screen, and whether there is more below.
    pub(super) fn publish_view(&mut self, conversation_id: &str) {
        let Some(shown) = self.shown.get_mut(conversation_id) else { return };
        if let Some(patch) = shown.timeline.take_patch() {
            self.updates.push_back(Update::Messages { conversation_id: conversation_id.to_owned(), patch });
        }
        let has_older = (shown.low > 0).then_some(shown.low > 1);
        if shown.said_older != has_older {
            shown.said_older = has_older;
            self.updates.push_back(Update::History { conversation_id: conversation_id.to_owned(), has_older });
        }
    }

    pub(super) fn shown_ids(&self) -> Vec<String> {
        self.shown.keys().cloned().collect()
    }

    // ---- delivery

    pub(super) fn watermarks_moved(&mut self, conversation_id: &str) {
        let Some(conversation) = self.sync.get(conversation_id) else { return };
        let (delivered, read) = conversation.watermarks(&self.user_id, self.config.ticks_of_all);
        self.sync.touch(conversation_id);
        let role = self.own_role(conversation_id);
        if let Some(Shown { timeline, .. }) = self.shown.get_mut(conversation_id) {
            timeline.set_watermarks(delivered, read);
            timeline.set_own_role(&role);
        }
        self.announce_ticks(conversation_id);
    }

    pub(super) fn announce_ticks(&mut self, conversation_id: &str) {
        let Some(conversation) = self.sync.get(conversation_id) else { return };
        let (delivered, read) = conversation.watermarks(&self.user_id, self.config.ticks_of_all);
        let waits = |message: &StoredMessage| message.conversation_id == conversation_id;
        let risen: Vec<(u64, MessageId)> = self
            .awaiting_ticks
            .iter()
            .filter(|message| waits(message) && message.seq <= delivered)
            .map(|message| (message.seq, message.id.clone()))
            .collect();
        self.awaiting_ticks.retain(|message| !waits(message) || message.seq > read);
        for (seq, id) in risen {
            self.announce(conversation_id, &id, timeline::tick(seq, delivered, read), 0, None);
        }
    }

    pub(super) fn is_said_sent(&self, id: &MessageId) -> bool {
        self.said_delivery.get(id).is_some_and(|(status, _)| *status >= DeliveryStatus::Sent)
    }

    /// Each state of an own message once, in the order of the way; *failed* once more when it waits for a person.
    pub(super) fn announce(
        &mut self,
        conversation_id: &str,
        id: &MessageId,
        status: DeliveryStatus,
        retry_count: u32,
        failure: Option<Failure>,
    ) {
        let refused = failure.as_ref().is_some_and(|failure| !failure.retryable);
        let said = self.said_delivery.get(id).copied();
        if said == Some((status, refused)) || (self.is_said_sent(id) && said >= Some((status, refused))) {
            return;
        }
        // Also what was read stays known: a tab that follows may read a record of it that is older than the word.
        self.said_delivery.insert(id.clone(), (status, refused));
        let conversation_id = conversation_id.to_owned();
        self.updates.push_back(Update::Delivery { conversation_id, id: id.clone(), status, retry_count, failure });
    }

    pub(super) fn own_role(&self, conversation_id: &str) -> String {
        let known = self.sync.get(conversation_id).and_then(|conversation| conversation.role(&self.user_id));
        known.or(self.config.sender_role.as_deref()).unwrap_or_default().to_owned()
    }

    // ---- problems

    pub(super) fn problem_of(&self, conversation_id: Option<&str>) -> Option<&Problem> {
        self.problems.iter().find(|(of, _)| of.as_deref() == conversation_id).map(|(_, problem)| problem)
    }

    pub(super) fn problem(&mut self, conversation_id: Option<String>, code: &str, message: &str) {
        let problem = Problem::new(code, message);
        if self.problem_of(conversation_id.as_deref()) != Some(&problem) {
            self.problems.retain(|(of, _)| *of != conversation_id);
            self.problems.push((conversation_id.clone(), problem.clone()));
            self.say_problem(conversation_id, Some(problem));
        }
    }

    /// To the observer of this tab, and to those who show the conversation elsewhere.
    fn say_problem(&mut self, conversation_id: Option<String>, error: Option<Problem>) {
        if let Some(conversation_id) = &conversation_id {
            self.tell_problem(conversation_id);
        }
        if conversation_id.as_ref().is_none_or(|id| self.shown.contains_key(id)) {
            self.updates.push_back(Update::Problem { conversation_id, error });
        }
    }

    pub(super) fn tell_problem(&mut self, conversation_id: &str) {
        let Some(generation) = self.role.generation() else { return };
        let error = self.problem_of(Some(conversation_id)).map(Problem::words);
        self.tell(TabMessage::Problem { generation, conversation_id: conversation_id.to_owned(), error });
    }

    /// What the leader knows of a conversation that is shown here.
    pub(super) fn hear_problem(&mut self, conversation_id: String, error: Option<(String, String)>) {
        if !self.shown.contains_key(&conversation_id) {
            return;
        }
        match error {
            Some((code, message)) => {
                if matches!(code.as_str(), "forbidden" | "no_conversation")
                    && let Some(shown) = self.shown.get_mut(&conversation_id)
                {
                    shown.reset();
                    self.sync.forget(&conversation_id);
                }
                self.problem(Some(conversation_id.clone()), &code, &message);
                self.loaded(&conversation_id);
            }
            None => self.clear_conversation_problem(&conversation_id),
        }
    }

    /// The problem of the whole client that has this code, if it has it, has passed.
    pub(super) fn clear_problem(&mut self, code: &str) {
        if self.problem_of(None).is_some_and(|problem| problem.code == code) {
            self.forget_problem(None);
        }
    }

    /// Whatever was wrong with the conversation has passed.
    pub(super) fn clear_conversation_problem(&mut self, conversation_id: &str) {
        if self.problem_of(Some(conversation_id)).is_some() {
            self.forget_problem(Some(conversation_id.to_owned()));
        }
    }

    /// What was wrong with conversations when this tab led before, or as another one said it.
    pub(super) fn forget_problems(&mut self) {
        for (of, _) in self.problems.clone() {
            if of.is_some() {
                self.forget_problem(of);
            }
        }
    }

    fn forget_problem(&mut self, conversation_id: Option<String>) {
        self.problems.retain(|(of, _)| *of != conversation_id);
        self.say_problem(conversation_id, None);
    }
}

pub(super) fn is_reachable(status: ConnectionStatus) -> bool {
    !matches!(status, ConnectionStatus::Disconnected | ConnectionStatus::NeedsAuth)
}
