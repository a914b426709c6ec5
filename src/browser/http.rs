//! Requests: one time limit over headers and body, abortable by id.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloo_net::http::Response;
use gloo_timers::callback::Timeout;
use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AbortController, Headers};

use super::timer::LONGEST_MS;
use crate::rest::{HttpError, HttpRequest, HttpResponse};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch)]
    fn fetch(url: &str, init: &Object) -> Result<Promise, JsValue>;
}

type Answer = Result<HttpResponse, HttpError>;

#[derive(Default)]
pub struct Http {
    under_way: RefCell<Vec<(u64, AbortController)>>,
}

impl Http {
    pub fn send(self: &Rc<Self>, request: u64, http: HttpRequest, done: impl FnOnce(Answer) + 'static) {
        if http.keepalive {
            return begin_and_forget(&http);
        }
        let Ok(controller) = AbortController::new() else { return done(Err(HttpError::Network)) };
        self.under_way.borrow_mut().push((request, controller.clone()));
        let owner = Rc::clone(self);
        spawn_local(async move {
            let answer = exchange(&http, &controller).await;
            if owner.forget(request).is_some() {
                done(answer);
            }
        });
    }

    /// It is not answered any more.
    pub fn abort(&self, request: u64) {
        if let Some(controller) = self.forget(request) {
            controller.abort();
        }
    }

    pub fn abort_all(&self) {
        for (_, controller) in self.under_way.take() {
            controller.abort();
        }
    }

    /// `None` if it was aborted.
    fn forget(&self, request: u64) -> Option<AbortController> {
        let mut under_way = self.under_way.borrow_mut();
        let place = under_way.iter().position(|(id, _)| *id == request)?;
        Some(under_way.swap_remove(place).1)
    }
}

async fn exchange(http: &HttpRequest, controller: &AbortController) -> Answer {
    let timed_out = Rc::new(Cell::new(false));
    let limit = {
        let (timed_out, controller) = (Rc::clone(&timed_out), controller.clone());
        Timeout::new(http.timeout_ms.min(LONGEST_MS), move || {
            timed_out.set(true);
            controller.abort();
        })
    };
    let answer = ask(http, controller).await;
    drop(limit);
    match answer {
        // Nothing readable came back: an opaque answer, or one of a page that stands in for the network.
        Ok(HttpResponse { status: 0, .. }) => Err(HttpError::Network),
        Ok(response) => Ok(response),
        Err(_) if timed_out.get() => Err(HttpError::Timeout),
        Err(_) => Err(HttpError::Network),
    }
}

async fn ask(http: &HttpRequest, controller: &AbortController) -> Result<HttpResponse, JsValue> {
    let response = JsFuture::from(begin(http, Some(controller))?).await?;
    let response = Response::from(response.unchecked_into::<web_sys::Response>());
    let retry_after_ms = response.headers().get("retry-after").and_then(|text| delay_ms(&text, js_sys::Date::now()));
    let date = response.headers().get("date").map(|text| js_sys::Date::parse(&text));
    let date_ms = date.filter(|ms| *ms >= 0.0).map(|ms| ms as u64);
    let body = response.text().await.map_err(|_| JsValue::NULL)?;
    Ok(HttpResponse { status: response.status(), retry_after_ms, date_ms, body })
}

/// gloo's own way of asking cannot outlive the page, and panics at a value that no header may have, such as a token with
/// a line break.
fn begin(http: &HttpRequest, controller: Option<&AbortController>) -> Result<Promise, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in &http.headers {
        headers.set(name, value)?;
    }
    let signal = controller.map(|controller| controller.signal().into());
    let (method, body) = if http.body.is_empty() { ("GET", None) } else { ("POST", Some(http.body.as_str().into())) };
    let init = Object::new();
    let fields: [(&str, JsValue); 6] = [
        ("method", method.into()),
        ("headers", headers.into()),
        // The Data API redirects nobody, and a followed redirect would turn the POST into a GET.
        ("redirect", "error".into()),
        ("keepalive", http.keepalive.into()),
        ("signal", signal.unwrap_or_default()),
        ("body", body.unwrap_or_default()),
    ];
    for (name, value) in fields {
        Reflect::set(&init, &name.into(), &value)?;
    }
    fetch(&http.url, &init)
}

/// A request that outlives the page: nothing here aborts it, and nobody hears its answer.
fn begin_and_forget(http: &HttpRequest) {
    if let Ok(answer) = begin(http, None) {
        spawn_local(async move { drop(JsFuture::from(answer).await) });
    }
}

/// `Retry-After` is a number of seconds or a date.
fn delay_ms(text: &str, now: f64) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let date = js_sys::Date::parse(text);
    (!date.is_nan()).then(|| (date - now).max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::delay_ms;

    #[wasm_bindgen_test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now = js_sys::Date::parse("Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(delay_ms(" 3 ", now), Some(3_000));
        assert_eq!(delay_ms("Wed, 21 Oct 2026 07:28:05 GMT", now), Some(5_000));
        assert_eq!(delay_ms("Wed, 21 Oct 2026 07:27:00 GMT", now), Some(0));
        assert_eq!(delay_ms("soon", now), None);
    }
}
