//! The corpus of the fuzz targets, read by the browser's own `JSON`: it runs natively otherwise, where serde_json reads.

use crate::json::{self, Value};
use crate::message::{Envelope, Failure, Member, StoredMessage};
use crate::realtime::codec;
use crate::rest::{HttpResponse, Outcome, judge, read_acks, read_list, read_rows, read_sync};
use crate::sync::Conversation;
use crate::tabs::TabMessage;
use wasm_bindgen_test::wasm_bindgen_test;

type Inputs = &'static [(&'static str, &'static [u8])];

macro_rules! corpus {
    ($($folder:literal: $($name:literal)+;)+) => {
        &[$(($folder, &[$(($name, include_bytes!(concat!("../fuzz/corpus/", $folder, "/", $name)))),+])),+]
    };
}

// That none is missing is tested with the corpus (tests/fuzz).
const CORPUS: &[(&str, Inputs)] = corpus! {
    "codec":
        "bin-84e04df4" "bin-8f7d58b3" "bin-b404b3fa" "bin-b75217f7" "bin-beec38c8" "bin-ca1d91d1" "cut" "empty"
        "frame-01829f92" "frame-01ca111d" "frame-0428ebdd" "frame-0636fc6a" "frame-063bb5c8" "frame-067fe866"
        "frame-07646d15" "frame-113bb298" "frame-12bd8801" "frame-151cc356" "frame-15efdd1d" "frame-15f8b492"
        "frame-166c2ea1" "frame-16c69310" "frame-18122e0b" "frame-183efcac" "frame-1a0d0c64" "frame-20aa2321"
        "frame-23e0792b" "frame-2555d298" "frame-259be526" "frame-25ed06eb" "frame-293c18e3" "frame-29da4fe2"
        "frame-2f036261" "frame-327aefab" "frame-34331797" "frame-35b2c076" "frame-3b6653a6" "frame-3c38c3d9"
        "frame-3c45c0aa" "frame-3dea45c3" "frame-3efe6646" "frame-43aad686" "frame-459ca3bf" "frame-48354caf"
        "frame-4aa05fe3" "frame-4cd39cd8" "frame-4d74902f" "frame-500fbfbd" "frame-51fa6aae" "frame-52a4ab3a"
        "frame-535ca8b6" "frame-5a659da3" "frame-5e1e7e4f" "frame-60a18f69" "frame-69c9e7ed" "frame-6dc566c0"
        "frame-71313750" "frame-7d790921" "frame-7f3ea492" "frame-82a30e95" "frame-841f5635" "frame-853a6271"
        "frame-866c93dd" "frame-890524dd" "frame-8a07ee46" "frame-90a94c5f" "frame-956cd86b" "frame-95a43206"
        "frame-9629605e" "frame-9925b51f" "frame-9ad2b161" "frame-9b46ea5f" "frame-9d2800d6" "frame-a0823fda"
        "frame-a53e4f17" "frame-a9e37584" "frame-ad0ea56c" "frame-adecab59" "frame-aeab1215" "frame-af329f04"
        "frame-b6195716" "frame-b74a864e" "frame-bfe9d7da" "frame-c0823a87" "frame-c366370d" "frame-c43c4ddf"
        "frame-c544921a" "frame-c63ce131" "frame-c7f481de" "frame-cd71847b" "frame-cfe18d81" "frame-d0433ca3"
        "frame-d16b35c9" "frame-d1c45c59" "frame-d576de1f" "frame-d58203e2" "frame-d82bcf79" "frame-e0024f09"
        "frame-e5142eae" "frame-e88732ed" "frame-ea8ac206" "frame-ee50b9a3" "frame-f1edc182" "frame-f32dcbeb"
        "frame-f3bcb8f3" "frame-f6eb7c55" "frame-ff7c0c65" "kind" "meta" "not-utf8";
    "replies":
        "200-ack" "200-empty" "200-forbidden" "200-null" "200-rejected" "200-stored" "200-sync" "200-sync-reset"
        "28090ee145a10652eba5131feb1cea7f0704a1ce" "304" "36538e6796f76065d325f398d554b4774ba2dc55" "400-22P05"
        "400-P0001" "401-PGRST301" "401-PT401" "403-42501" "404-PGRST202" "409-23503" "409-23505" "413-" "429"
        "429-longest" "500-40001" "500-XX000" "503-PGRST001" "504-53300" "520-html"
        "5d06093981baee158bb05b0352b152eac573922a" "605bc81d15a20a1b86af496a5f6b0dea30e6fe86"
        "6404582b3efa4ebcb6bdf5a5a7522a262fd595cd" "91728050404374591372fb7ac34b84d2c0211fb6"
        "aa5061f07ba71c3f487f7698196e91df3296ffa8" "be72759e52b256fd0e365b5cd7bba914c51d436e"
        "d33d188ca97c46b42add9aeb33d70378e71ce39e" "d79c159fa0af3ab4b806f872219718f4885fafc1"
        "e290c42fa5770d174017e6cc605515fc8f0a9072" "f560a68f9bfb72c3670df73a6c00278680533293"
        "fdc857d3e15483be0c00b211c1848d143e6917c0" "network" "timeout";
    "socket":
        "life" "recorded-00" "recorded-01" "recorded-02" "recorded-03" "recorded-04" "recorded-05" "recorded-06"
        "recorded-07" "recorded-08" "recorded-09" "recorded-10" "recorded-11" "recorded-12" "recorded-13" "recorded-14"
        "recorded-15" "recorded-16" "side";
    "tokens":
        "alphabet" "dots" "empty" "empty-sub" "expired" "good" "longest" "no-sub" "no-times" "not-json" "odd";
    "values":
        "conversation" "deleted" "edit" "failure" "float-far-out" "generation" "lease" "member" "message" "nested"
        "outbox" "outbox-newer" "outbox-refused" "system" "tab-act" "tab-acted" "tab-hello" "tab-open" "tab-retry"
        "tab-rows" "tab-status";
};

fn inputs(folder: &str) -> Inputs {
    CORPUS.iter().find(|(of, _)| *of == folder).expect("a folder of the corpus").1
}

fn natively(text: &str) -> Option<Value> {
    serde_json::from_str::<serde_json::Value>(text).ok().map(Value::from)
}

/// Equal, but for the last bit of a long number, which serde_json does not always get right.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => (a - b).abs() <= f64::EPSILON * a.abs(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            let same = |(name, a): &(String, Value)| b.get(name).is_some_and(|b| is_same(a, b));
            a.fields().len() == b.fields().len() && a.fields().iter().all(same)
        }
        _ => a == b,
    }
}

#[wasm_bindgen_test]
fn the_browser_reads_the_corpus_as_serde_json_does_and_prints_what_it_read() {
    let mut read = 0;
    for (folder, inputs) in CORPUS {
        for (name, bytes) in *inputs {
            let Some(value) = json::parse_bytes(bytes) else {
                assert_eq!(std::str::from_utf8(bytes).ok().and_then(natively), None, "{folder}/{name}");
                continue;
            };
            assert_eq!(json::parse(&json::print(&value)).as_ref(), Some(&value), "{folder}/{name}");
            if let Some(native) = std::str::from_utf8(bytes).ok().and_then(natively) {
                assert!(is_same(&value, &native), "{folder}/{name}: {value} is {native} natively");
                let printed = natively(&json::print(&value)).expect("what the browser prints is JSON");
                assert!(is_same(&printed, &native), "{folder}/{name}: {printed} is {native} natively");
                read += 1;
            }
        }
    }
    assert!(read > 100, "{read}");
}

#[wasm_bindgen_test]
fn no_frame_of_the_corpus_panics() {
    let mut decoded = 0;
    for (_, bytes) in inputs("codec") {
        decoded += usize::from(codec::decode_binary(bytes).is_ok());
        decoded += usize::from(std::str::from_utf8(bytes).is_ok_and(|text| codec::decode_text(text).is_ok()));
    }
    assert!(decoded > 50, "{decoded}");
}

#[wasm_bindgen_test]
fn no_answer_of_the_corpus_panics() {
    let mut answers = 0;
    for (_, bytes) in inputs("replies") {
        let reply = json::parse_bytes(bytes).expect("a reply is JSON");
        let Some(status) = json::number(&reply, "status").and_then(|status| status.try_into().ok()) else { continue };
        let body = match reply.get("body") {
            Some(Value::String(text)) => text.clone(),
            body => json::print(body.unwrap_or(&Value::Null)),
        };
        if let Outcome::Answer(body) = judge(Ok(HttpResponse { status, retry_after_ms: None, date_ms: None, body })) {
            let _ = (read_rows(&body), read_acks(&body), read_sync(&body), read_list(&body));
            answers += 1;
        }
    }
    assert!(answers > 5, "{answers}");
}

#[wasm_bindgen_test]
fn every_record_of_the_corpus_survives_being_written() {
    let mut survived = 0;
    for (name, bytes) in inputs("values") {
        let value = json::parse_bytes(bytes).expect("a record is JSON");
        survived += survives(name, &value, StoredMessage::from_row, StoredMessage::to_row);
        survived += survives(name, &value, Member::from_value, Member::to_value);
        survived += survives(name, &value, Failure::from_value, Failure::to_value);
        survived += survives(name, &value, TabMessage::from_value, TabMessage::to_value);
        survived += survives(name, &value, Conversation::from_record, Conversation::to_record);
        survived += survives(name, &value, Envelope::from_record, |envelope| {
            let mut fields = envelope.fields();
            fields.set("created_at", envelope.created_at);
            fields.into()
        });
    }
    assert!(survived > 10, "{survived}");
}

/// Whether it was read at all: then it is the same after the way through the browser's text.
fn survives<T: PartialEq>(
    name: &str,
    value: &Value,
    read: impl Fn(&Value) -> Option<T>,
    write: impl Fn(&T) -> Value,
) -> usize {
    let Some(first) = read(value) else { return 0 };
    let again = json::parse(&json::print(&write(&first))).and_then(|value| read(&value));
    assert!(again.as_ref() == Some(&first), "{name}: what was written is not what is read");
    1
}
