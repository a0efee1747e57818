/**
 * Finds stages by the declarations in package.json ("pmigrate": {"transports": {...}, ...}), without running their code,
 * and imports one when it is first used. The core's own stages are declared in the same way.
 */
import {readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath, pathToFileURL} from 'node:url'
import {API_VERSION, type Stage, StageError} from './api.js'

export type StageKind = Stage['kind']
const fieldByKind = {transport: 'transports', codec: 'codecs', cipher: 'ciphers'} as const

export interface StageDeclaration {
  kind: StageKind
  name: string
  package: string
  version: string
  module: string // absolute path
}

interface Declaring {
  name: string
  version: string
  pmigrate?: {apiVersion: number} & Partial<Record<(typeof fieldByKind)[StageKind], Record<string, string>>>
}

const ownRoot = fileURLToPath(new URL('../..', import.meta.url))

export class StageRegistry {
  private readonly declarations: StageDeclaration[] = []

  /** `roots`: folders of installed plugin packages; the core's own comes first. */
  constructor(roots: readonly string[] = []) {
    for (const root of [ownRoot, ...roots]) this.declarations.push(...readDeclarations(root))
  }

  list(kind?: StageKind): readonly StageDeclaration[] {
    return kind === undefined ? this.declarations : this.declarations.filter((declaration) => declaration.kind === kind)
  }

  has(kind: StageKind, name: string): boolean {
    return this.list(kind).some((declaration) => declaration.name === name)
  }

  /** Imports the stage. Throws PM_STAGE_UNKNOWN with the known names. */
  async load<K extends StageKind>(kind: K, name: string): Promise<Extract<Stage, {kind: K}>> {
    const declaration = this.list(kind).find((known) => known.name === name)
    if (!declaration) {
      const known = this.list(kind).map((each) => each.name)
      throw new StageError('PM_STAGE_UNKNOWN', `there is no ${kind} named "${name}"`, {hint: `known ${kind}s: ${known.join(', ')}`})
    }
    const stage = await importStage(declaration)
    if (stage?.kind !== kind || stage.name !== name)
      throw new StageError('PM_STAGE_UNKNOWN', `package ${declaration.package} declares the ${kind} "${name}", but its module exports something else`)
    return stage as Extract<Stage, {kind: K}>
  }
}

async function importStage(declaration: StageDeclaration): Promise<Stage | undefined> {
  try {
    const module = (await import(pathToFileURL(declaration.module).href)) as {default?: Stage}
    return module.default
  } catch (error) {
    throw new StageError(
      'PM_STAGE_UNKNOWN',
      `the ${declaration.kind} "${declaration.name}" of package ${declaration.package} fails to load: ${(error as Error).message}`,
      {
        cause: error,
        hint: `repair or remove the package ${declaration.package}`,
      },
    )
  }
}

function readDeclarations(root: string): StageDeclaration[] {
  const {name, version, pmigrate} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Declaring
  if (!pmigrate) return []
  if (pmigrate.apiVersion !== API_VERSION)
    throw new StageError('PM_STAGE_UNKNOWN', `package ${name} is written for plugin API ${pmigrate.apiVersion}, this pmigrate has ${API_VERSION}`, {
      hint: `update ${name} or pmigrate`,
    })
  return (Object.keys(fieldByKind) as StageKind[]).flatMap((kind) =>
    Object.entries(pmigrate[fieldByKind[kind]] ?? {}).map(([stage, module]) => ({
      kind,
      name: stage,
      package: name,
      version,
      module: join(dirname(join(root, 'package.json')), module),
    })),
  )
}
