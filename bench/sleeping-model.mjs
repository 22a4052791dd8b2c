// Preloaded into inference processes: a model that sleeps as long as a model of SLEEP_TOKEN_MS a token computes. So several
// workers can be measured on a machine that has not a CPU for each.
if (process.argv[1]?.endsWith('inference/main.js')) {
  const { InferenceSession, Tensor } = await import('onnxruntime-node')
  const tokenMs = Number(process.env.SLEEP_TOKEN_MS)
  InferenceSession.prototype.run = async ({ input_ids: { dims } }) => {
    const [texts, width] = dims
    await new Promise((resolve) => setTimeout(resolve, texts * width * tokenMs))
    return { logits: new Tensor('float32', new Float32Array(texts * 2), [texts, 2]) }
  }
}
