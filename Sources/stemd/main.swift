Stemd.main()
