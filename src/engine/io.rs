//! What goes into the engine and what comes out of it, as plain data.

use crate::{
    health::ConnectionStatus,
    json::Value,
    message::{DeliveryStatus, Failure, MessageId},
    realtime,
    rest::{self, HttpError, HttpRequest, HttpResponse},
    store::{StoreResult, Transaction},
    sync::{ListPatch, SyncState},
    tabs::TabMessage,
    timeline::Patch,
};

/// Names a call of the app, so that its answer finds it.
pub type OperationId = u32;
/// Names an effect, so that its completion finds it.
pub type RequestId = u64;

/// Two clocks, in milliseconds. Only `mono` decides anything; `wall` is shown to people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    pub mono: u64,
    pub wall: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Of the Supabase project, without a slash at the end: `https://abc.supabase.co`.
    pub url: String,
    pub api_key: String,
    /// Whose outbox it is; else the `sub` of the first token, remembered.
    pub user_id: Option<String>,
    /// Shown on own messages until the server names the role.
    pub sender_role: Option<String>,
    pub resume_on_reconnect: bool,
    pub auto_read: bool,
    /// Ticks wait for every member of another role; else for the first.
    pub ticks_of_all: bool,
    /// Rows of the cache, over all conversations.
    pub keep_messages: u64,
    pub request_timeout_ms: u32,
    /// Where messages go and come from.
    pub source: rest::Source,
    /// A worker without a page: it sends what is unsent if nobody leads, and says [`Update::Drained`].
    pub drain_only: bool,
}

impl Config {
    pub(super) fn target<'a>(&'a self, token: &'a str, user_id: &'a str) -> rest::Target<'a> {
        rest::Target {
            url: &self.url,
            api_key: &self.api_key,
            token,
            user_id,
            role: self.sender_role.as_deref().unwrap_or_default(),
            timeout_ms: self.request_timeout_ms,
        }
    }
}

/// Everything that can happen.
#[derive(Clone)]
pub enum Input {
    Command(Command),
    Page(PageEvent),
    /// Answers [`Effect::OpenStore`].
    StoreOpened {
        result: Result<(), crate::store::StoreError>,
    },
    /// Answers [`Effect::Store`].
    Stored {
        request: RequestId,
        result: StoreResult,
    },
    /// The database closed under us: lost, deleted, or a newer layout was opened.
    StoreLost {
        outdated: bool,
    },
    /// Answers [`Effect::Http`].
    Http {
        request: RequestId,
        result: Result<HttpResponse, HttpError>,
    },
    /// Answers [`Effect::FetchToken`]: what the app's `accessToken` gave.
    Token {
        request: RequestId,
        result: Result<Option<String>, String>,
    },
    Socket(realtime::Input),
    /// Answers [`Effect::AcquireLock`], which may take for ever, and [`Effect::StealLock`].
    LockGranted {
        /// `false`: there are no Web Locks here, and every tab hears this.
        exclusive: bool,
    },
    /// The lock was stolen, or could not be had.
    LockLost,
    /// From another tab of this user.
    Heard(TabMessage),
    /// The deadline of [`super::Engine::next_deadline`] has come. Late or doubled is harmless.
    Timer,
}

/// What the app asks for.
#[derive(Clone)]
pub enum Command {
    Start {
        remembered_user: Option<String>,
        visible: bool,
        online: bool,
    },
    Send {
        op: OperationId,
        id: MessageId,
        conversation_id: String,
        content: String,
        message_type: String,
        metadata: Value,
    },
    /// Show a conversation: from the cache, then synced, then live.
    Open {
        conversation_id: String,
    },
    Close {
        conversation_id: String,
    },
    /// Answered when a sync of the conversation was merged.
    Reload {
        op: OperationId,
        conversation_id: String,
    },
    /// Show a page more of the history. Answered with `{has_older}`.
    LoadOlder {
        op: OperationId,
        conversation_id: String,
    },
    /// Keep the list of all conversations, or not any more.
    List {
        on: bool,
    },
    /// Queue what failed again, in one conversation or in all.
    Retry {
        op: OperationId,
        conversation_id: Option<String>,
    },
    MarkRead {
        conversation_id: String,
    },
    /// A key was pressed in its composer, or that is over.
    Typing {
        conversation_id: String,
        on: bool,
    },
    /// Take a message back, wherever it is.
    Cancel {
        op: OperationId,
        conversation_id: String,
        id: MessageId,
    },
    /// `edit_id` names the row that may come of it.
    Edit {
        op: OperationId,
        conversation_id: String,
        id: MessageId,
        edit_id: MessageId,
        content: String,
    },
    /// Give up what is unsent.
    Discard {
        op: OperationId,
        conversation_id: String,
        id: MessageId,
    },
    /// Stop everything; `discard` also deletes what is unsent.
    Shutdown {
        op: OperationId,
        discard: bool,
    },
}

/// What happens to the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageEvent {
    Online,
    Offline,
    Visible,
    Hidden,
    /// Shown again, from the back/forward cache if `persisted`.
    Shown {
        persisted: bool,
    },
    /// Going away, perhaps into the back/forward cache.
    Leaving,
    Frozen,
    Resumed,
}

/// Everything the shell may be asked to do.
#[derive(Clone)]
pub enum Effect {
    /// Open the database of this name, within 3 s.
    OpenStore {
        name: String,
    },
    Store {
        request: RequestId,
        transaction: Transaction,
    },
    /// Of what was asked for until now, whatever [reads first](Transaction::reads_first) and is not being committed is
    /// undone, or not begun, and answered [`Robbed`](crate::store::StoreError::Robbed): this page is about to stand
    /// still, and a transaction that it leaves open would block every other tab's.
    LetTransactionsGo,
    Http {
        request: RequestId,
        http: HttpRequest,
    },
    /// Abort it; no answer is wanted.
    AbortHttp {
        request: RequestId,
    },
    FetchToken {
        request: RequestId,
    },
    Socket(realtime::Output),
    /// Queue for the Web Lock of this name and hold it until [`Effect::ReleaseLock`]. `if_free`: now or not at all.
    AcquireLock {
        name: String,
        if_free: bool,
    },
    ReleaseLock,
    /// Take it from whoever holds it. What was queued for before is given up.
    StealLock {
        name: String,
    },
    /// Join the BroadcastChannel of this name, if that is not done.
    JoinTabs {
        name: String,
    },
    /// Leave it again: Chromium drops a page from the back/forward cache once somebody speaks to its channel.
    LeaveTabs,
    Tell(TabMessage),
    /// Remember whose outbox this browser profile uses, under this key.
    RememberUser {
        key: String,
        user_id: String,
    },
    /// Let go of the database, the channel and the page's events.
    CloseAll,
}

/// What an observer learns.
#[derive(Clone, PartialEq)]
pub enum Update {
    Connection(ConnectionStatus),
    Sync {
        conversation_id: String,
        state: SyncState,
    },
    /// The conversation's first page is known, from the cache or from the server.
    Loaded {
        conversation_id: String,
    },
    Messages {
        conversation_id: String,
        patch: Patch,
    },
    /// The others who have the conversation in front of them, each once.
    People {
        conversation_id: String,
        people: Vec<Person>,
    },
    /// Whether there is anything older than what is shown; `None`: not known any more.
    History {
        conversation_id: String,
        has_older: Option<bool>,
    },
    Conversations {
        patch: ListPatch,
    },
    /// Of the list as a whole; `error` while it could not be loaded.
    ListState {
        state: SyncState,
        error: Option<Problem>,
    },
    /// Messages that are not known to be on the server.
    Pending {
        total: usize,
        conversations: Vec<(String, usize)>,
    },
    Delivery {
        conversation_id: String,
        id: MessageId,
        status: DeliveryStatus,
        retry_count: u32,
        failure: Option<Failure>,
    },
    /// Somebody cancelled or discarded an own message, perhaps in another tab, before it was known to be sent.
    TakenBack {
        conversation_id: String,
        id: MessageId,
    },
    /// With [`Config::drain_only`], once: nothing is left to do here. So many rows may go out another time; none where a
    /// tab leads.
    Drained {
        left: usize,
    },
    /// Something the app or its operator must look at; `None` when it has passed.
    Problem {
        conversation_id: Option<String>,
        error: Option<Problem>,
    },
    Storage {
        durable: bool,
    },
    Done {
        op: OperationId,
        result: Value,
    },
    Failed {
        op: OperationId,
        error: Problem,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub user_id: String,
    pub role: String,
    pub typing: bool,
}

/// A stable code and a sentence for people, without secrets and without message bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: String,
    pub message: String,
    pub http_status: Option<u16>,
    pub pg_code: Option<String>,
}

impl Problem {
    pub fn new(code: &str, message: &str) -> Self {
        Self { code: code.into(), message: message.into(), http_status: None, pg_code: None }
    }

    pub(super) fn words(&self) -> (String, String) {
        (self.code.clone(), self.message.clone())
    }
}

/// Why the engine wants to be called at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadlineReason {
    Attempt,
    Beat,
    Call,
    Identity,
    People,
    Realtime,
    Receipts,
    Storage,
    Sync,
    Token,
}
