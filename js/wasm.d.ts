// What the build generates into js/wasm, for as long as it is not there.
declare module '*/wasm/surechat.js' {
  export default function init(input: { module_or_path: WebAssembly.Module }): Promise<unknown>
  export const Core: unknown
}
