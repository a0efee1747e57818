import tseslint from 'typescript-eslint'

export default tseslint.config(
  {ignores: ['dist/', 'build/', 'node_modules/']},
  ...tseslint.configs.recommended,
  {rules: {'@typescript-eslint/no-unused-vars': ['error', {argsIgnorePattern: '^_'}], '@typescript-eslint/no-non-null-assertion': 'off', eqeqeq: 'error', 'max-params': ['error', 8]}},
)
