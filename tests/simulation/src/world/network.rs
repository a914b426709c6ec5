//! Requests: lost, late, repeated, and answered by whatever stands between the page and the database.

use surechat::{
    engine::{Input, RequestId},
    json::{Value, items, number, owned, parse, text},
    rest::{HttpError, HttpRequest, HttpResponse},
};

use super::{Event, Outcome, World};
use crate::{
    TabId, broken,
    faults::Fault,
    reference::{POISON, STUMBLE},
    server::{RowFault, Rules, bearer, error, function, respond},
    token::subject,
};

/// Every line of the table of `src/rest` that is no answer of the migration's own.
const CODED: [(Fault, &[(u16, &str)]); 5] = [
    (
        Fault::Serialization,
        &[
            (500, "40001"),
            (500, "40P01"),
            (500, "55P03"),
            (500, "57014"),
            (500, "57P01"),
            (500, "08006"),
            (503, "53300"),
        ],
    ),
    (Fault::ServerDown, &[(500, ""), (502, ""), (503, ""), (504, ""), (520, ""), (522, ""), (408, "")]),
    (Fault::ServerCoded, &[(503, "PGRST000"), (503, "PGRST001"), (503, "PGRST002"), (504, "PGRST003"), (500, "XX000")]),
    (
        Fault::SchemaMissing,
        &[(404, "PGRST202"), (400, "PGRST204"), (404, "PGRST205"), (404, "42P01"), (400, "42703"), (404, "42883")],
    ),
    (
        Fault::Rejected,
        &[
            (400, "22P02"),
            (400, "23514"),
            (400, "P0001"),
            (409, "23503"),
            (500, "23503"),
            (409, "23505"),
            (400, "23502"),
            (400, ""),
            (414, ""),
        ],
    ),
];

/// A request under way.
pub(super) struct Exchange {
    pub tab: TabId,
    request: RequestId,
    http: HttpRequest,
    /// It has its answer, or nobody waits for one.
    pub over: bool,
    /// The answer to the first copy gets lost: the browser shows the page the second one's.
    first_is_lost: bool,
    arrivals: u32,
}

impl World {
    pub(super) fn post(&mut self, id: TabId, request: RequestId, http: HttpRequest) -> Outcome {
        self.check_request(id, &http)?;
        let is_new_page = http.body.contains("\"before\"") && self.idle_pages.insert(http.body.clone());
        *self.idle_requests.entry(id).or_default() += u32::from(!is_new_page);
        self.last_exchange += 1;
        let exchange = self.last_exchange;
        self.hash(http.body.as_bytes());
        self.mark(id, function(&http));
        self.note(|| format!("    request {exchange}: {}", http.body));
        let timeout = u64::from(http.timeout_ms);
        let profile = self.tab(id).map_or(0, |tab| tab.profile);
        let online = self.profiles[profile].online;
        let mut held = Exchange { tab: id, request, http, over: false, first_is_lost: false, arrivals: 0 };
        self.later(timeout, Event::Answer { exchange, result: Err(HttpError::Timeout) });
        let mut delay = self.latency();
        if !online || self.strikes(Fault::RequestLost) {
            if !online || self.rng.bool() {
                self.later(delay, Event::Answer { exchange, result: Err(HttpError::Network) });
            }
        } else {
            if self.strikes(Fault::Late) {
                delay += self.rng.u64(1_000..40_000);
            }
            held.arrivals = 1;
            self.later(delay, Event::Arrival { exchange, repeated: false });
            if self.strikes(Fault::Repeated) {
                held.arrivals = 2;
                held.first_is_lost = self.rng.bool();
                let mut again = delay + self.rng.u64(1..3_000);
                if self.strikes(Fault::RepeatedLate) {
                    again += self.rng.u64(3_000..200_000);
                }
                self.later(again, Event::Arrival { exchange, repeated: true });
            }
        }
        self.exchanges.insert(exchange, held);
        Ok(())
    }

    pub(super) fn abort(&mut self, id: TabId, request: RequestId) {
        let is_it = |exchange: &&mut Exchange| exchange.tab == id && exchange.request == request;
        if let Some(exchange) = self.exchanges.values_mut().find(is_it) {
            exchange.over = true;
        }
    }

    pub(super) fn arrived(&mut self, id: u64, repeated: bool) -> Outcome {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return Ok(()) };
        exchange.arrivals -= 1;
        let (http, tab) = (exchange.http.clone(), exchange.tab);
        let lost = !repeated && exchange.first_is_lost;
        if exchange.arrivals == 0 && exchange.over {
            self.exchanges.remove(&id);
        }
        self.mark(tab, if repeated { "repeated request arrives" } else { "request arrives" });
        let faults = self.weather.counts;
        let response = self.answer_by_way(&http);
        if function(&http) == "chat_send" {
            self.spare_tombstones(&http, &response, faults != self.weather.counts);
        }
        self.hash(response.body.as_bytes());
        self.note(|| format!("    request {id} is answered {}: {}", response.status, response.body));
        self.spread_live();
        if function(&http) == "chat_send" {
            self.reference.check_order(&self.disks, &self.server, &self.spared)?;
        }
        if lost {
            return Ok(());
        }
        let mut delay = self.latency();
        if self.strikes(Fault::AnswerLost) {
            if self.rng.bool() {
                self.later(delay, Event::Answer { exchange: id, result: Err(HttpError::Network) });
            }
            return Ok(());
        }
        if self.strikes(Fault::Late) {
            delay += self.rng.u64(1_000..20_000);
        }
        self.later(delay, Event::Answer { exchange: id, result: Ok(response) });
        Ok(())
    }

    /// Where it was no plain answer, or who asked is no member any more, a tombstone in the request may be given up.
    fn spare_tombstones(&mut self, http: &HttpRequest, response: &HttpResponse, by_chance: bool) {
        let body = parse(&http.body).unwrap_or_default();
        let answers = parse(&response.body).unwrap_or_default();
        let answers = answers.as_array().unwrap_or_default();
        for item in items(&body, "batch").iter().filter(|item| text(item, "kind") == Some("delete")) {
            let of_item = |answer: &&Value| text(answer, "id") == text(item, "id");
            let status = answers.iter().find(of_item).and_then(|answer| text(answer, "status"));
            if by_chance || status == Some("forbidden") {
                self.spared.extend(owned(item, "target_id"));
            }
        }
    }

    pub(super) fn answered(&mut self, id: u64, result: Result<HttpResponse, HttpError>) -> Outcome {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return Ok(()) };
        let over = std::mem::replace(&mut exchange.over, true);
        let (tab, request) = (exchange.tab, exchange.request);
        if exchange.arrivals == 0 {
            self.exchanges.remove(&id);
        }
        if over {
            return Ok(());
        }
        self.mark(tab, "is answered");
        self.feed(tab, Input::Http { request, result })
    }

    /// Gateways, proxies and the database, each with its own bad days.
    fn answer_by_way(&mut self, http: &HttpRequest) -> HttpResponse {
        let html =
            |status| HttpResponse { status, retry_after_ms: None, date_ms: None, body: "<html>gateway</html>".into() };
        let coded = |status, code: &str| respond(status, &error(code));
        if self.strikes(Fault::Unauthorized) {
            return match self.rng.u32(0..5) {
                0 => coded(401, "PGRST301"),
                1 => coded(401, "PGRST302"),
                2 => coded(401, "PGRST303"),
                3 => coded(401, "PT401"),
                _ => html(401),
            };
        }
        if self.strikes(Fault::Forbidden) {
            return if self.rng.bool() { coded(403, "42501") } else { html(403) };
        }
        if self.strikes(Fault::RateLimited) {
            let retry_after_ms = self.rng.bool().then(|| self.rng.u64(0..20_000));
            return HttpResponse { status: 429, retry_after_ms, date_ms: None, body: String::new() };
        }
        for (fault, answers) in CODED {
            if self.strikes(fault) {
                let (status, code) = *self.rng.choice(answers).unwrap_or(&answers[0]);
                return if code.is_empty() { html(status) } else { coded(status, code) };
            }
        }
        let rules = self.rules();
        let response = self.server.answer(self.now, http, &rules);
        if self.strikes(Fault::DownAfterCommit) {
            return html(502);
        }
        if self.strikes(Fault::Garbage) {
            let body =
                *self.rng.choice(&["<html>hotel", "{}", "[]", "null", "[{\"id\":7}]", "[[]]", "\"\""]).unwrap_or(&"");
            return HttpResponse { status: 200, retry_after_ms: None, date_ms: None, body: body.into() };
        }
        response
    }

    fn rules(&mut self) -> Rules {
        // What the database stumbles over is mended in the end.
        let stumble = (!self.weather.kind).then_some(STUMBLE);
        let mut rules = Rules { poison: Some(POISON), stumble, ..Rules::default() };
        for (fault, row) in [
            (Fault::RowForbidden, RowFault::Forbidden),
            (Fault::RowNoConversation, RowFault::NoConversation),
            (Fault::RowRejected, RowFault::Rejected("23514")),
            (Fault::RowConflict, RowFault::IdConflict),
            (Fault::RowUnanswered, RowFault::Unanswered),
        ] {
            if self.strikes(fault) {
                rules.row = Some((self.rng.usize(0..3), row));
            }
        }
        if self.strikes(Fault::TooLarge) {
            rules.max_body = Some(self.rng.usize(100..1_500));
        }
        if self.strikes(Fault::BlindSync) {
            rules.blind_since = Some(self.now.saturating_sub(self.rng.u64(10..3_000)));
        }
        rules
    }

    // ---- tokens

    pub(super) fn give_token(&mut self, id: TabId, request: RequestId) {
        let Some(profile) = self.tab(id).map(|tab| tab.profile) else { return };
        let mut delay = self.latency();
        if self.strikes(Fault::TokenLate) {
            delay += self.rng.u64(1_000..40_000);
        }
        let result = self.token_of(profile);
        self.note(|| format!("tab {id} will get the token {result:?}"));
        self.later(delay, Event::Feed { tab: id, input: Box::new(Input::Token { request, result }) });
    }

    fn token_of(&mut self, profile: usize) -> Result<Option<String>, String> {
        if self.strikes(Fault::TokenThrows) {
            return Err("AuthRetryableFetchError".into());
        }
        let Some(user) = self.profiles[profile].signed_in else { return Ok(None) };
        if self.strikes(Fault::TokenOther) {
            return Ok(Some(self.server.auth.issue("stranger", self.now, 3_600_000)));
        }
        if self.strikes(Fault::TokenOld)
            && let Some(old) = self.rng.choice(&self.profiles[profile].old_tokens)
        {
            return Ok(Some(old.clone()));
        }
        let held = &self.profiles[profile];
        // As supabase-js: what runs out soon is refreshed, and somebody whose session was revoked signs in again.
        let fresh = held.token.clone().filter(|jwt| {
            self.server.auth.check(jwt, self.now + held.lifetime_ms.min(90_000) / 2).is_some()
                && subject(jwt).as_deref() == Some(user)
        });
        let jwt = match fresh {
            Some(jwt) => jwt,
            None if held.token.is_some() && !self.weather.kind && self.rng.u32(0..3) == 0 => {
                return Ok(held.token.clone());
            }
            None => {
                let jwt = self.server.auth.issue(user, self.now, held.lifetime_ms);
                let held = &mut self.profiles[profile];
                held.old_tokens.extend(held.token.replace(jwt.clone()));
                jwt
            }
        };
        Ok(Some(jwt))
    }

    // ---- what every request must be

    fn check_request(&mut self, id: TabId, http: &HttpRequest) -> Outcome {
        let Some(tab) = self.tabs[id].as_deref() else { return Ok(()) };
        let owner = tab.user().map(str::to_owned);
        let body = parse(&http.body).unwrap_or_default();
        let token = bearer(http).and_then(subject);
        let expected = owned(&body, "expected_user");
        if token.is_none() || token != expected || (owner.is_some() && owner != token) {
            let detail = format!("a token of {token:?} for {expected:?} on the outbox of {owner:?}");
            return Err(broken("nothing goes out under another name", detail));
        }
        let Some(name) = tab.database.as_deref() else { return Ok(()) };
        let Some(database) = self.disks[tab.profile].database(name) else { return Ok(()) };
        if database.deleted != tab.database_age || Some(database.generation()) != tab.generation {
            return Ok(());
        }
        match function(http) {
            "chat_send" => {
                let batch = items(&body, "batch");
                for record in database.outbox() {
                    let waits = record.get("refused").is_none_or(|refused| refused.as_object().is_none());
                    let (id, key) = (text(record, "id"), number(record, "key"));
                    let of_record = |item: &&surechat::json::Value| {
                        text(item, "conversation_id") == text(record, "conversation_id")
                    };
                    let carried = batch.iter().any(|item| text(item, "id") == id);
                    let passed = batch.iter().filter(of_record).find(|item| {
                        let order = text(item, "id").and_then(|id| database.order_of(id));
                        order.is_some_and(|(_, other)| Some(other) > key)
                    });
                    if let Some(passed) = passed.filter(|_| waits && !carried) {
                        let detail = format!("{id:?} (key {key:?}) is overtaken by {:?}", text(passed, "id"));
                        return Err(broken("a request carries its lanes from their fronts", detail));
                    }
                }
                Ok(())
            }
            "chat_ack" => {
                for ack in items(&body, "acks") {
                    self.check_receipt(tab.profile, name, ack)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
