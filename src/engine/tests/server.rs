//! A model of the server: what `chat_send`, `chat_sync` and `chat_ack` answer.

use std::collections::{BTreeMap, VecDeque};

use crate::{json, json::Value};

use crate::rest::{HttpError, HttpRequest, HttpResponse};

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It never arrives.
    Refuse,
    /// It is done, and the answer is lost.
    LoseAnswer,
    Nothing,
    /// Something else answers.
    Status(u16, &'static str),
}

#[derive(Default)]
pub struct Server {
    pub rows: BTreeMap<String, Vec<Value>>,
    pub members: BTreeMap<String, Vec<Value>>,
    /// What was stored, as it came.
    pub taken: Vec<Value>,
    pub faults: VecDeque<Fault>,
    pub always: Option<Fault>,
    pub requests: Vec<(u64, String)>,
    /// Content that makes the whole request fail, as a constraint of the app's would.
    pub poison: Option<&'static str>,
    /// Content over which the database stumbles, with a code and for no fault of anybody's.
    pub stumbles: Option<&'static str>,
    /// Rows at the end of each conversation that are committed and told live, but not visible to `chat_sync` yet.
    pub unseen: usize,
    /// How often it was set back to a copy: each time counts as another database.
    pub restores: u32,
    /// Rows of a first page; else all there are.
    pub page: Option<u64>,
    /// Its migration is of a time before pages of history, and takes a question for one for the first page.
    pub lacks_history: bool,
    /// So many pages of history were asked for.
    pub older: usize,
    /// So many requests for rows come with a token that has expired.
    pub expired: u32,
    /// An app's own table.
    pub own: super::own::Own,
    /// What an app's endpoint answers to what it stored, in place of the row.
    pub endpoint_says: Option<(u16, Value)>,
    /// When each conversation changed last, by a clock of the server's own.
    pub changed: BTreeMap<String, u64>,
    pub clock: u64,
    /// What `chat_list` was asked.
    pub listed: Vec<Value>,
    /// What goes out live, as broadcasts of the inbox.
    pub live: Vec<(&'static str, Value)>,
}

impl Server {
    pub fn with_conversation(id: &str, users: &[(&str, &str)]) -> Self {
        let mut server = Self::default();
        let member =
            |(user, role): &(&str, &str)| json!({"user_id": user, "role": role, "delivered_seq": 0, "read_seq": 0});
        server.members.insert(id.into(), users.iter().map(member).collect());
        server.rows.insert(id.into(), Vec::new());
        server
    }

    pub fn contents(&self, id: &str) -> Vec<&str> {
        self.rows.get(id).into_iter().flatten().filter_map(|row| row["content"].as_str()).collect()
    }

    /// What everybody sees of a conversation.
    pub fn live_messages(&self, id: &str) -> Vec<&str> {
        let rows = self.rows.get(id).into_iter().flatten();
        let shown = rows.filter(|row| row["kind"] == "message" && row["deleted_at"] == Value::Null);
        shown.filter_map(|row| row["content"].as_str()).collect()
    }

    pub fn count(&self, function: &str) -> usize {
        self.requests.iter().filter(|(_, of)| of == function).count()
    }

    pub fn answer(&mut self, now: u64, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        if !request.url.contains("/rpc/") {
            return self.answer_plainly(now, request);
        }
        let function = request.url.rsplit('/').next().unwrap_or_default().to_owned();
        self.requests.push((now, function.clone()));
        let fault =
            if function == "chat_send" { self.faults.pop_front().or_else(|| self.always.clone()) } else { None };
        match fault {
            Some(Fault::Refuse) => return Err(HttpError::Network),
            Some(Fault::Status(status, code)) => return Ok(respond(status, &json!({"code": code}))),
            _ => {}
        }
        let body: Value = crate::json::parse(&request.body).expect("the engine sends JSON");
        let user = body["expected_user"].as_str().unwrap_or_default().to_owned();
        let response = match function.as_str() {
            "chat_send" => self.send(&user, &body["batch"]),
            "chat_sync" if self.expired > 0 => {
                self.expired -= 1;
                respond(401, &json!({"code": "PGRST301"}))
            }
            "chat_sync" => {
                let cursors = body["cursors"].as_object().map(|cursors| cursors.fields()).unwrap_or_default();
                self.older += cursors.iter().filter(|(_, cursor)| cursor["before"].as_u64().is_some()).count();
                respond(200, &self.sync(&user, &body["cursors"]))
            }
            "chat_list" => {
                self.listed.push(body.clone());
                respond(200, &self.list(&user, &body))
            }
            "chat_ack" => respond(200, &self.ack(&user, &body["acks"])),
            _ => respond(404, &json!({"code": "PGRST202"})),
        };
        match fault {
            Some(Fault::LoseAnswer) => Err(HttpError::Timeout),
            _ => Ok(response),
        }
    }

    /// The app's own table, and the app's own endpoint, which stores in the managed schema.
    fn answer_plainly(&mut self, now: u64, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.own.at(now);
        let fault = if request.body.is_empty() { None } else { self.own.faults.pop_front() };
        match fault {
            Some(Fault::Refuse) => return Err(HttpError::Network),
            Some(Fault::Status(status, code)) => return Ok(respond(status, &json!({"code": code}))),
            _ => {}
        }
        let response = if request.url.starts_with(super::own::ENDPOINT) {
            self.endpoint(&crate::json::parse(&request.body).expect("the engine sends JSON"))
        } else if let Some((_, query)) = request.url.split_once("/chat_messages?id=eq.") {
            self.own.look_ups += 1;
            let rows = self.rows.values().flatten().filter(|row| query.starts_with(row["id"].as_str().unwrap_or("-")));
            respond(200, &Value::Array(rows.cloned().collect()))
        } else {
            self.own.answer(request)
        };
        match fault {
            Some(Fault::LoseAnswer) => Err(HttpError::Timeout),
            _ => Ok(response),
        }
    }

    fn endpoint(&mut self, body: &Value) -> HttpResponse {
        let mut row = body.clone();
        row["kind"] = "message".into();
        row["target_id"] = Value::Null;
        let user = body["expected_user"].as_str().unwrap_or_default().to_owned();
        let answers = crate::json::parse(&self.send(&user, &Value::Array(vec![row])).body).expect("an answer");
        match (answers[0]["status"].as_str(), &self.endpoint_says) {
            (Some("duplicate"), _) => respond(409, &json!({"error": "seen before"})),
            (Some("stored"), Some((status, says))) => respond(*status, says),
            (Some("stored"), None) => respond(201, &answers[0]),
            _ => respond(422, &json!({"error": "no"})),
        }
    }

    /// A message of somebody else.
    pub fn post(&mut self, conversation: &str, user: &str, id: &str, content: &str) {
        let row = json!({"id": id, "conversation_id": conversation, "kind": "message", "target_id": null, "content": content, "message_type": "text", "metadata": {}});
        self.send(user, &json!([row]));
    }

    /// It is set back to what it held when there were so many rows.
    pub fn restore(&mut self, conversation: &str, rows: usize) {
        self.restores += 1;
        self.rows.entry(conversation.to_owned()).or_default().truncate(rows);
    }

    /// Rows of somebody else.
    pub fn write(&mut self, user: &str, batch: &Value) {
        self.send(user, batch);
    }

    pub fn send(&mut self, user: &str, batch: &Value) -> HttpResponse {
        let batch = batch.as_array().unwrap_or_default().to_vec();
        if self.poison.is_some_and(|poison| batch.iter().any(|row| row["content"] == poison)) {
            return respond(400, &json!({"code": "22P05"}));
        }
        if self.stumbles.is_some_and(|stumbles| batch.iter().any(|row| row["content"] == stumbles)) {
            return respond(500, &json!({"code": "XX000"}));
        }
        let mut stopped = Vec::new();
        let mut answers = Vec::new();
        for row in batch {
            let conversation = row["conversation_id"].as_str().unwrap_or_default().to_owned();
            let mut answer = json!({"id": row["id"], "conversation_id": conversation});
            let role = self
                .members
                .get(&conversation)
                .and_then(|members| members.iter().find(|member| member["user_id"] == user));
            let known =
                self.rows.get(&conversation).and_then(|rows| rows.iter().find(|stored| stored["id"] == row["id"]));
            let status = if stopped.contains(&conversation) {
                "skipped"
            } else if !self.rows.contains_key(&conversation) {
                "no_conversation"
            } else if role.is_none() {
                "forbidden"
            } else if known.is_some() {
                "duplicate"
            } else if row["content"] == "refuse me" {
                "rejected:23514"
            } else if !self.aims_well(&conversation, &row) {
                "rejected:P0001"
            } else {
                "stored"
            };
            answer["status"] = status.into();
            let stored = match status {
                "stored" => {
                    let mut stored = row.clone();
                    let rows = self.rows.get_mut(&conversation).expect("checked above");
                    stored["seq"] = (rows.len() + 1).into();
                    stored["sender_id"] = user.into();
                    stored["sender_role"] = role.expect("checked above")["role"].clone();
                    stored["created_at"] = "2026-11-23T06:30:00+00:00".into();
                    change_target(rows, &row);
                    self.taken.push(stored.clone());
                    self.clock += 1;
                    self.changed.insert(conversation.clone(), self.clock);
                    rows.push(stored.clone());
                    let incarnation = incarnation(self.restores);
                    let live = json!({"row": stored, "conversation_id": conversation, "incarnation": incarnation,
                        "seq": stored["seq"], "id": stored["id"]});
                    self.live.push(("message", live));
                    Some(stored)
                }
                "duplicate" => known.cloned(),
                _ => {
                    stopped.push(conversation);
                    None
                }
            };
            for field in ["seq", "created_at", "sender_role", "kind", "content"] {
                answer[field] = stored.as_ref().map(|stored| stored[field].clone()).unwrap_or_default();
            }
            answers.push(answer);
        }
        respond(200, &Value::Array(answers))
    }

    /// An edit or a delete is of a message that is there; a delete of its own id is a tombstone.
    fn aims_well(&self, conversation: &str, row: &Value) -> bool {
        let is_target = |stored: &Value| stored["id"] == row["target_id"] && stored["deleted_at"] == Value::Null;
        row["target_id"] == Value::Null
            || row["target_id"] == row["id"]
            || self.rows[conversation].iter().any(is_target)
    }

    fn sync(&self, user: &str, cursors: &Value) -> Value {
        let answers = cursors.as_object().into_iter().flat_map(|cursors| cursors.fields()).map(|(id, cursor)| {
            let Some(rows) = self.rows.get(id) else {
                return json!({"conversation_id": id, "status": "no_conversation"});
            };
            let members = &self.members[id];
            if !members.iter().any(|member| member["user_id"] == user) {
                return json!({"conversation_id": id, "status": "forbidden"});
            }
            let last = rows.len().saturating_sub(self.unseen) as u64;
            let incarnation = incarnation(self.restores);
            if let Some(before) = cursor["before"].as_u64().filter(|_| !self.lacks_history) {
                let below: Vec<&Value> = rows.iter().filter(|row| row["seq"].as_u64() < Some(before)).collect();
                let first = below.len().saturating_sub(50);
                return json!({"conversation_id": id, "status": "ok", "incarnation": incarnation, "last_seq": last,
                    "through_seq": before - 1, "first_seq": first + 1, "rows": below[first..], "members": members});
            }
            // From above the end or another database, as from nowhere, it is the newest page.
            let other = cursor["incarnation"].as_str().is_some_and(|known| known != incarnation);
            let newest = self.page.map_or(0, |page| last.saturating_sub(page));
            let from = cursor["seq"].as_u64().filter(|seq| *seq <= last && !other).unwrap_or(newest);
            let rows: Vec<&Value> =
                rows[..last as usize].iter().filter(|row| row["seq"].as_u64() > Some(from)).collect();
            json!({"conversation_id": id, "status": "ok", "incarnation": incarnation,
                "last_seq": last, "through_seq": last, "first_seq": from + 1, "rows": rows, "members": members})
        });
        Value::Array(answers.collect())
    }

    /// The clock is `since`: rows that came after it come, too, which the model tells by their number alone.
    fn list(&self, user: &str, asked: &Value) -> Value {
        let since = asked["since"].as_u64();
        let is_member = |id: &String| self.members[id].iter().any(|member| member["user_id"] == user);
        let mine: Vec<&String> = self.members.keys().filter(|id| is_member(id)).collect();
        let mut cursors = asked["cursors"].clone();
        for id in &mine {
            let is_new = since.is_none_or(|since| self.changed.get(*id).is_some_and(|at| *at > since));
            if is_new && cursors[id.as_str()] == Value::Null {
                let own = self.members[*id].iter().find(|member| member["user_id"] == user).expect("a member");
                let seq = own["delivered_seq"].as_u64().unwrap_or(0).min(self.rows[*id].len() as u64);
                cursors[id.as_str()] = json!({"seq": seq});
            }
        }
        let mut answers = self.sync(user, &cursors);
        for answer in answers_of(&mut answers) {
            let id = answer["conversation_id"].as_str().unwrap_or_default().to_owned();
            if answer["status"] != "ok" {
                continue;
            }
            let own = self.members[&id].iter().find(|member| member["user_id"] == user).expect("a member");
            let messages = || self.rows[&id].iter().filter(|row| row["kind"] == "message");
            let unread = messages().filter(|row| {
                row["sender_id"] != user
                    && row["deleted_at"] == Value::Null
                    && row["seq"].as_u64() > own["read_seq"].as_u64()
            });
            answer["unread"] = unread.count().into();
            answer["last_message"] = messages().next_back().cloned().unwrap_or_default();
        }
        let total = mine.len();
        let sum: usize = mine.iter().map(|id| self.rows[*id].len()).sum();
        let ids = (since.is_some() && asked["held"] != total as u64)
            .then(|| json::list(mine.iter().map(|id| id.as_str().into())));
        json!({"since": self.clock, "full": since.is_none(), "total": total, "sum": sum, "ids": ids, "conversations": answers})
    }

    pub fn ack(&mut self, user: &str, acks: &Value) -> Value {
        let mut answers = Vec::new();
        for ack in acks.as_array().into_iter().flatten() {
            let id = ack["conversation_id"].as_str().unwrap_or_default();
            let Some(member) = self
                .members
                .get_mut(id)
                .and_then(|members| members.iter_mut().find(|member| member["user_id"] == user))
            else {
                continue;
            };
            let last = self.rows.get(id).map_or(0, Vec::len) as u64;
            member["delivered_seq"] = ack["delivered"].as_u64().unwrap_or(0).min(last).into();
            member["read_seq"] = ack["read"].as_u64().unwrap_or(0).min(last).into();
            self.clock += 1;
            self.changed.insert(id.to_owned(), self.clock);
            let mut receipt = member.clone();
            receipt["conversation_id"] = id.into();
            answers.push(receipt.clone());
            self.live.push(("receipt", receipt));
        }
        Value::Array(answers)
    }
}

fn answers_of(answers: &mut Value) -> &mut [Value] {
    match answers {
        Value::Array(answers) => answers,
        _ => &mut [],
    }
}

fn change_target(rows: &mut [Value], row: &Value) {
    for target in rows.iter_mut().filter(|stored| stored["id"] == row["target_id"]) {
        target["content"] = row["content"].clone();
        let changed_at = if row["kind"] == "edit" { "edited_at" } else { "deleted_at" };
        target[changed_at] = "2026-11-23T06:31:00+00:00".into();
    }
}

fn respond(status: u16, body: &Value) -> HttpResponse {
    HttpResponse { status, retry_after_ms: None, date_ms: None, body: body.to_string() }
}

pub fn incarnation(restores: u32) -> String {
    format!("{:08}-1111-4111-8111-111111111111", 11_111_111 + restores)
}
