/** Loads the compiled command line; in a clone where nothing has been compiled yet, says so. */
const {main} = await import('../dist/cli/main.js').catch((error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
  console.error(`pmigrate: it has not been built, or not installed whole: ${error.message.split('\n')[0]}\nhint: npm run build`)
  process.exit(70)
})

export {main}
