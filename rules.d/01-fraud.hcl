# This site and toll fraud with stolen accounts. As 00-site.hcl, it is yours: keep it when you
# upgrade.
locals {
  # The rules of 60-toll-fraud.hcl to 68-several-accounts.hcl ban an account for what no
  # customer does, and alert about the rest. true: those that say so ban as well.
  fraud_bans = false

  # Countries that your accounts call every day, such as "CU", and that are not to count as
  # where stolen accounts call. Tests of those rules with numbers of such a country then
  # fail.
  usual_countries = []
}
