/**
 * What the API returns, as far as the page reads it.
 * @typedef {{total: number, queued: number, updating: number, completed: number, failed: number, cancelled: number, skipped: number}} Counts
 * @typedef {{code: string, message: string}} Reason
 * @typedef {{name: string, size: number, approval: boolean, status: string, counts: Counts, startedAt: string|null, endedAt: string|null}} Wave
 * @typedef {{wave: string|null, stratum: string|null, failed: number, healthy: number, inFlight: number, ratio: number, threshold: number, failuresToBreach: number, healthyToAcceptable: number}} Gate
 * @typedef {{at: string, wave: string|null, stratum: string|null, ratio: number, failed: number|null, threshold: number|null}} GateStep
 * @typedef {{name: string, size: number, status: string, counts: Counts, reason: Reason|null}} Stratum
 * @typedef {{id: string, revision: number, status: string, statusReason: Reason|null, firmware: {version: string, packageUri: string}, labels: Record<string, string>, createdAt: string, createdBy: {name: string}, startedAt: string|null, endedAt: string|null, counts: Counts, waves: Wave[], strata?: Stratum[], gate: Gate[], gateHistory?: GateStep[], failures?: {code: string, count: number}[], strategy: {maxInFlight: number|null}, startAt: string|null, rollbackOf: string|null, rolledBackBy: string|null}} Rollout
 * @typedef {{state: string|null, reason?: string}} Letter
 * @typedef {{first: number, states: string, versions: string, strata?: string}} Block
 * @typedef {{stepSeconds: number, started: number[], completed: number[], failed: number[]}} Curve
 * @typedef {{duration: string, secondsPerDevice: number, limitedBy: string, startsPerSecond: number, startsLimitedBy: string}} Forecast
 * @typedef {{revision: number, at: string, tickedAt: string|null, tickSeconds: number|null, total: number, eventCount: number, letters: Record<string, Letter>, versions: string[], strata?: string[], blocks: Block[], failures: {code: string, count: number, example: string}[], curve: Curve|null, forecast: Forecast|null, halts: {code: string, message: string, since: string, until: string|null}[], rollout?: Rollout}} States
 * @typedef {{at: string, action: string, by: string, message: string}} Event
 * @typedef {{active: boolean, revision: number, reason?: string, by?: string, until?: string, condition?: string, endedBy?: string, endedReason?: string}} Freeze
 * @typedef {{deviceId: string, wave: string, state: string, attempt: number, version: string, firmwareStatus: string|null, error: Reason|null, skipReason: string|null, runningVersion: string|null, previousVersion: string|null, explanation: string, history: {state: string, attempt: number, at: string, message: string}[], rolloutId?: string, rolloutStatus?: string}} Device
 */
export {};
